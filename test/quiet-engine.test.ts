/** @file ONNX Runtime reports to its maker unless it is told not to; here it is told, whatever thread it starts in. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { add, input } from "../src/graph/build.ts";
import { lower } from "../src/onnx/lower/lower.ts";

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "faceid-quiet-"));
const model = join(work, "model.onnx");
beforeAll(() => {
  const x = input("x", [1]);
  writeFileSync(model, lower({ outputs: { y: add(x, x) } }).bytes);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A program that opens the model with what `from` names and waits, as reports are prepared in the background. */
function opening(name: string, from: string, open: string, close: string): string[] {
  const file = join(work, `${name}.mjs`);
  const program = `
    import { readFileSync } from "node:fs";
    import { setTimeout as delay } from "node:timers/promises";
    const module = await import(${JSON.stringify(from)});
    const session = await module.${open}(readFileSync(${JSON.stringify(model)}));
    await delay(500);
    await session${close}();
    process.stdout.write("done");`;
  writeFileSync(file, program);
  return [file];
}

const built = (file: string) => pathToFileURL(join(ROOT, "dist/onnx/runtime", file)).href;

/** What a program leaves behind in the home folder of somebody who never ran one before. */
async function leftBehind(name: string, args: readonly string[]): Promise<string[]> {
  const home = join(work, name);
  mkdirSync(home);
  // The runtime keeps quiet in CI by itself, and lets these variables choose other folders.
  const { CI: _, XDG_CACHE_HOME: __, ORT_DISABLE_TELEMETRY: ___, ...environment } = process.env;
  const { stdout } = await execute("node", args, { cwd: home, env: { ...environment, HOME: home } });
  expect(stdout).toMatch(/done|^checkpoint /m);
  return readdirSync(home, { recursive: true }).map(String);
}

describe.skipIf(process.platform !== "linux")("the engine", () => {
  it("would leave a device's number and a store of reports by itself", async () => {
    const runtime = import.meta.resolve("onnxruntime-node");
    const files = await leftBehind(
      "untold",
      opening("untold", runtime, "InferenceSession.create", ".release"),
    );
    expect(files.join("\n")).toMatch(/onnxruntime.*deviceid/);
  });

  it.each([
    { place: "calling", from: built("runtime.js"), open: "openRuntime", close: ".close" },
    {
      place: "worker",
      from: built("session-pool.js"),
      open: "SessionPool.open",
      close: ".close",
    },
  ])("leaves nothing when it runs in the $place thread", async ({ place, from, open, close }) => {
    expect(await leftBehind(place, opening(place, from, open, close))).toEqual([]);
  });

  it("leaves nothing but decoded images when it trains", async () => {
    const faceid = join(ROOT, "bin/faceid.js");
    const faces = join(work, "faces");
    const people = ["--identities", "12", "--images-per-identity", "2"];
    await execute("node", [faceid, "dataset", "synthesize", "--output", faces, ...people]);
    const shares = ["--validation-fraction", "0.3", "--test-fraction", "0.3", "--validation-pairs", "4"];
    const small = [
      "--model",
      "compact",
      "--epochs",
      "1",
      "--dataset-size",
      "4",
      "--batch-size",
      "4",
      ...shares,
    ];
    const own = ["--replicas", "2", "--progress", "plain", "--no-export", "--output", join(work, "run")];
    const args = ["train", "--dataset-path", faces, ...small, ...own];
    const files = await leftBehind("train", [faceid, ...args]);
    expect(files.filter((file) => !/^\.cache(\/faceid.*)?$/.test(file))).toEqual([]);
  });
});
