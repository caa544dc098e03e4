/** @file A Python environment with genuine TensorFlow, made once beside the tests; absent where packages cannot be had. */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const execute = promisify(execFile);
const HERE = import.meta.dirname;
const FOLDER = join(HERE, ".venv");
const REQUIREMENTS = join(HERE, "requirements.txt");
/** Installed without what they ask for: tensorflow-serving-api wants the GPU package of TensorFlow. */
const REQUIREMENTS_ALONE = join(HERE, "requirements-alone.txt");
const PYTHON = join(FOLDER, "bin/python");
/** Says which requirements the environment holds. */
const STAMP = join(FOLDER, "requirements.txt");

/** A script that answers each line of JSON with one of its own. */
export interface Conversation {
  ask(question: unknown): Promise<unknown>;
  end(): void;
}

/** Runs one of the scripts beside this file; its standard output is JSON. */
export interface Python {
  run(script: string, ...args: string[]): Promise<unknown>;
  /** Starts a script that answers questions, so that TensorFlow is imported once for all of them. */
  talk(script: string): Conversation;
}

const environment = () => ({ ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" });

function talk(script: string): Conversation {
  const child = spawn(PYTHON, [join(HERE, "python", script)], {
    env: environment(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const { done, value } = await lines.next();
      if (done === true) throw new Error(`${script} ended without an answer`);
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}

async function install(): Promise<void> {
  const wanted = [REQUIREMENTS, REQUIREMENTS_ALONE].map((file) => readFileSync(file, "utf8")).join("");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  await execute("python3", ["-m", "venv", "--clear", FOLDER]);
  const pip = ["-m", "pip", "install", "--quiet"];
  const options = { maxBuffer: 2 ** 26 };
  await execute(PYTHON, [...pip, "--requirement", REQUIREMENTS], options);
  await execute(PYTHON, [...pip, "--no-deps", "--requirement", REQUIREMENTS_ALONE], options);
  writeFileSync(STAMP, wanted);
}

/** The environment, or why it cannot be had. */
export async function openPython(): Promise<Python | { readonly unavailable: string }> {
  try {
    await install();
  } catch (error) {
    const unavailable = error instanceof Error ? error.message.split("\n")[0]! : String(error);
    process.stderr.write(`skipped: the Python environment cannot be made (${unavailable})\n`);
    return { unavailable };
  }
  return {
    async run(script, ...args) {
      const options = { env: environment(), maxBuffer: 2 ** 26 };
      const { stdout } = await execute(PYTHON, [join(HERE, "python", script), ...args], options);
      return JSON.parse(stdout.trim().split("\n").at(-1)!);
    },
    talk,
  };
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `faceid-interop-${name}-`));
}

/** Floats as the scripts read them. */
export function writeFloats(path: string, values: Float32Array): void {
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

export function readFloats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
