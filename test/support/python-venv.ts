/** @file Makes a Python environment beside tests from the lists of requirements there, once. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * The environment `.venv` in `folder`, holding requirements.txt and, where there is one, requirements-alone.txt without what
 * that asks for.
 * @returns its folder of programs
 */
export async function makeVenv(folder: string): Promise<string> {
  const venv = join(folder, ".venv");
  const programs = join(venv, "bin");
  const requirements = join(folder, "requirements.txt");
  const alone = join(folder, "requirements-alone.txt");
  // Says which requirements the environment holds.
  const stamp = join(venv, "requirements.txt");
  const wanted = [requirements, ...(existsSync(alone) ? [alone] : [])]
    .map((file) => readFileSync(file, "utf8"))
    .join("");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return programs;
  await execute("python3", ["-m", "venv", "--clear", venv]);
  const pip = ["-m", "pip", "install", "--quiet"];
  const options = { maxBuffer: 2 ** 26 };
  const python = join(programs, "python");
  await execute(python, [...pip, "--requirement", requirements], options);
  if (existsSync(alone)) await execute(python, [...pip, "--no-deps", "--requirement", alone], options);
  writeFileSync(stamp, wanted);
  return programs;
}

/** `make`'s result, or why it could not be had, said on the standard error. */
export async function orUnavailable<T>(
  what: string,
  make: () => Promise<T>,
): Promise<T | { readonly unavailable: string }> {
  try {
    return await make();
  } catch (error) {
    const unavailable = error instanceof Error ? error.message.split("\n")[0]! : String(error);
    process.stderr.write(`skipped: ${what} cannot be had (${unavailable})\n`);
    return { unavailable };
  }
}
