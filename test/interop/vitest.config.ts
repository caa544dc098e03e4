import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/interop/**/*.test.ts", "test/deploy/**/*.test.ts"],
    pool: "forks",
    // The files wait for Python and for each other's servers, so that two of them keep two cores busy.
    maxWorkers: 2,
    testTimeout: 600_000,
    hookTimeout: 900_000,
    globalSetup: ["test/support/build.ts", "test/interop/environments.ts"],
    setupFiles: ["test/support/matchers.ts"],
  },
});
