import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/interop/**", "test/deploy/**", "test/pages/**"],
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    globalSetup: ["test/support/build.ts"],
    setupFiles: ["test/support/matchers.ts"],
  },
});
