import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/interop/**", "test/deploy/**", "test/pages/**"],
    pool: "forks",
    // Vitest leaves one core free, which is half of two.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 240_000,
    hookTimeout: 240_000,
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/matchers.ts"],
  },
});
