import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/interop/**", "test/deploy/**", "test/pages/**"],
    pool: "forks",
    // Many files wait for processes that they have started.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 240_000,
    hookTimeout: 240_000,
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/matchers.ts"],
  },
});
