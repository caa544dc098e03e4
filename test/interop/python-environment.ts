/** @file A Python environment with genuine TensorFlow, made once beside the tests; absent where packages cannot be had. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { makeVenv, orUnavailable } from "../support/python-venv.ts";

const execute = promisify(execFile);
const HERE = import.meta.dirname;
const PYTHON = join(HERE, ".venv/bin/python");

/** A script that answers each line of JSON with one of its own. */
export interface Conversation {
  ask(question: unknown): Promise<unknown>;
  /** Waits until the script has ended. */
  end(): Promise<void>;
}

/** Runs one of the scripts beside this file; its standard output is JSON. */
export interface Python {
  run(script: string, ...args: string[]): Promise<unknown>;
  /** Starts a script that answers questions, so that TensorFlow is imported once for all of them. */
  talk(script: string): Conversation;
}

type Settings = Readonly<Record<string, string>>;

const environment = (settings: Settings) => ({
  ...process.env,
  TF_CPP_MIN_LOG_LEVEL: "3",
  CUDA_VISIBLE_DEVICES: "",
  ...settings,
});

function talk(script: string, settings: Settings): Conversation {
  const child = spawn(PYTHON, [join(HERE, "python", script)], {
    env: environment(settings),
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
    end: () =>
      new Promise((resolve) => {
        child.once("close", () => resolve());
        child.stdin.end();
      }),
  };
}

/** TensorFlow without oneDNN, as it runs by default on processors without 8-bit dot products. */
export const WITHOUT_ONEDNN: Settings = { TF_ENABLE_ONEDNN_OPTS: "0" };

/**
 * The environment, or why it cannot be had; `settings` are environment variables of the scripts.
 * tensorflow-serving-api stands alone: it wants the GPU package of TensorFlow.
 */
export async function openPython(
  settings: Settings = {},
): Promise<Python | { readonly unavailable: string }> {
  const programs = await orUnavailable("the Python environment", () => makeVenv(HERE));
  if (typeof programs !== "string") return programs;
  return {
    async run(script, ...args) {
      const options = { env: environment(settings), maxBuffer: 2 ** 26 };
      const { stdout } = await execute(PYTHON, [join(HERE, "python", script), ...args], options);
      return JSON.parse(stdout.trim().split("\n").at(-1)!);
    },
    talk: (script) => talk(script, settings),
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
