/** @file Builds dist/ once before any test runs, so that tests that start the real command never meet half a build. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Called by vitest before the first test file. */
export function setup(): void {
  const root = join(import.meta.dirname, "../..");
  execFileSync("npm", ["run", "--silent", "build"], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}
