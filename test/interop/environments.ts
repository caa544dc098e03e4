/** @file Makes both Python environments once before any test runs, since the test files run side by side. */
import { join } from "node:path";
import { makeVenv, orUnavailable } from "../support/python-venv.ts";

/** Called by vitest before the first test file. */
export async function setup(): Promise<void> {
  await orUnavailable("the Python environment", () => makeVenv(import.meta.dirname));
  await orUnavailable("the tools for checking what is shipped", () =>
    makeVenv(join(import.meta.dirname, "../deploy")),
  );
}
