import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/interop/**/*.test.ts", "test/deploy/**/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 900_000,
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/matchers.ts"],
  },
});
