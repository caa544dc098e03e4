/** @file The whole job by the real command: train, evaluate, export, inspect, serve, request, and how each of them fails. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { TINY_FLAGS, temporaryFolder } from "./support/tiny-run.ts";

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "bin/faceid.js");
const work = temporaryFolder("flow");
const TINY = [...TINY_FLAGS, "--epochs", "1"];
/** What the run that the other tests use came to. */
let trained: Outcome;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function faceid(args: readonly string[], environment: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd: work, env: { ...process.env, ...environment }, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** A port that nobody listens on just now. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** Starts the server and waits until it says that it listens. */
async function serve(args: readonly string[]): Promise<ChildProcess> {
  const server = spawn(process.execPath, [BIN, "serve", ...args], { cwd: work });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    server.stderr.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.includes("Exporting HTTP/REST API")) resolve();
    });
    server.once("exit", () => reject(new Error(`the server ended: ${said}`)));
  });
  return server;
}

const exitOf = (process: ChildProcess) =>
  new Promise<number | null>((resolve) => process.once("exit", resolve));

beforeAll(async () => {
  const places = ["--output", "run", "--saved-model-path", "models/tiny", "--tensorboard", "board"];
  trained = await faceid(["train", ...TINY, ...places, "--progress", "json"]);
  expect(trained.stderr).toBe("");
  expect(trained.code).toBe(0);
}, 300_000);

describe("train", () => {
  it("leaves a log, checkpoints and a version folder that is complete", () => {
    expect(readdirSync(join(work, "run")).sort()).toEqual([
      "best.safetensors",
      "last.safetensors",
      "log.jsonl",
      "report.html",
      "run.json",
    ]);
    expect(readdirSync(join(work, "models/tiny")).sort()).toEqual(["1"]);
    expect(readdirSync(join(work, "models/tiny/1")).sort()).toEqual(["assets.extra", "saved_model.pb"]);
  });

  it("tells programs one JSON object a line, and nothing else", () => {
    const lines = trained.stdout.trimEnd().split("\n");
    const told = lines.map((line) => JSON.parse(line) as { kind: string });
    expect(told.map(({ kind }) => kind)).toEqual([
      "data",
      "start",
      ...["step", "step", "step", "step"],
      "checkpoint",
      "epoch",
      "end",
      ...["measuring", "measuring"],
      "measured",
      "files",
    ]);
    expect(told.at(-1)).toEqual({
      kind: "files",
      checkpoint: join("run", "best.safetensors"),
      report: join("run", "report.html"),
      savedModel: join("models", "tiny", "1"),
    });
    expect(readdirSync(join(work, "board")).sort()).toEqual(["train", "validation"]);
  });

  it.each([
    [["--batch-size", "four"], 2, '--batch-size: got "four", expected a'],
    [["--epochs", "0"], 2, '--epochs: got "0", expected more than 0'],
    [["--loss", "hinge"], 2, "expected one of bce, contrastive"],
    [["--model", "vgg16"], 2, "there is no model called vgg16"],
    [["--test-fraction", "0"], 2, "a test fraction of 0 leaves nobody to measure the network on"],
    [["--no-such-flag"], 2, "unknown option '--no-such-flag'"],
    [["--dataset", "folder", "--dataset-path", "nowhere"], 3, "there is no folder"],
    [["--output", "run"], 2, "run holds a run already"],
  ])("says what is wrong with %j", async (args, code, message) => {
    const outcome = await faceid([
      "train",
      ...args,
      ...(args.includes("--output") ? TINY : ["--output", "other"]),
      "--no-export",
    ]);
    expect(outcome.stderr).toContain(message);
    expect(outcome.code).toBe(code);
    expect(existsSync(join(work, "other"))).toBe(false);
  });

  it("refuses a version that exists before it trains", async () => {
    const outcome = await faceid([
      "train",
      ...TINY,
      "--output",
      "again",
      "--saved-model-path",
      "models/tiny",
    ]);
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining("--model-version 2") });
    expect(existsSync(join(work, "again"))).toBe(false);
  });
});

describe("settings", () => {
  it("come from flags, then the environment, then .env", async () => {
    writeFileSync(
      join(work, ".env"),
      "EPOCHS=zero-from-file\nBATCH_SIZE=zero-from-file\nDATASET_SIZE=zero-from-file\n",
    );
    try {
      const run = (args: string[], environment: Record<string, string>) =>
        faceid(["train", ...args, "--output", "x"], environment);
      expect((await run([], {})).stderr).toContain("zero-from-file");
      const two = await run(["--epochs", "from-flag"], {
        BATCH_SIZE: "from-environment",
        EPOCHS: "3",
        DATASET_SIZE: "5",
      });
      expect(two.stderr).toMatch(/from-environment|from-flag/);
      const flagWins = await run(["--epochs", "from-flag", "--batch-size", "4", "--dataset-size", "8"], {
        EPOCHS: "from-environment",
      });
      expect(flagWins.stderr).toContain('--epochs: got "from-flag"');
    } finally {
      writeFileSync(join(work, ".env"), "");
    }
  });

  it("refuse a variable of ours that does not exist", async () => {
    const outcome = await faceid(["train", "--output", "x"], { FACEID_LERNING_RATE: "1" });
    expect(outcome).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown setting FACEID_LERNING_RATE"),
    });
  });
});

describe("report", () => {
  it("writes the page of a run and of an exported model, with photographs of mistakes or without", async () => {
    const few = ["--test-pairs", "20"];
    const run = await faceid(["report", "run", ...few, "--output", "run.html"]);
    const model = await faceid(["report", "models/tiny", ...few, "--output", "model.html", "--no-photos"]);
    expect([run.stdout, model.stdout]).toEqual(["report run.html\n", "report model.html\n"]);
    const [runPage, modelPage] = ["run.html", "model.html"].map((name) =>
      readFileSync(join(work, name), "utf8"),
    );
    const titles = (page: string) => [...page.matchAll(/<h2>([^<]+)</g)].map(([, title]) => title);
    const common = ["Held-out people", "Error rates", "Thresholds", "Training"];
    expect(titles(runPage!)).toEqual([...common, "Most confident mistakes", "Model", "Settings"]);
    expect(titles(modelPage!)).toEqual([...common, "Model", "Settings"]);
    expect(runPage).toContain("data:image/jpeg;base64,");
    expect(modelPage).not.toContain("data:image");
  });

  it("says what it can be made of", async () => {
    expect(await faceid(["report", "photographs"])).toMatchObject({
      code: 8,
      stderr: expect.stringContaining("name a run's folder"),
    });
  });
});

describe("evaluate", () => {
  it("measures the checkpoint and the exported model alike, as one JSON object and nothing else", async () => {
    const [checkpoint, exported] = await Promise.all(
      [
        ["--checkpoint", "run"],
        ["--saved-model", "models/tiny/1"],
      ].map((source) => faceid(["evaluate", ...source, "--test-pairs", "20", "--json"])),
    );
    const [a, b] = [JSON.parse(checkpoint!.stdout), JSON.parse(exported!.stdout)];
    expect(a.pairs).toBeGreaterThan(10);
    expect(b.loss).toBeCloseTo(a.loss, 5);
    expect({ ...b, loss: 0, calibration: 0, calibrated: 0 }).toEqual({
      ...a,
      loss: 0,
      calibration: 0,
      calibrated: 0,
    });
  });

  it("wants just one model", async () => {
    expect(await faceid(["evaluate"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected one model to measure, got none"),
    });
  });

  it("says what is wrong with a checkpoint", async () => {
    writeFileSync(join(work, "broken.safetensors"), "nothing of use");
    expect(await faceid(["evaluate", "--checkpoint", "broken.safetensors"])).toMatchObject({ code: 5 });
    expect(await faceid(["evaluate", "--checkpoint", "nowhere"])).toMatchObject({ code: 5 });
  });
});

describe("export, inspect, convert", () => {
  it("write another version and an ONNX file, and say what is in them", async () => {
    const exported = await faceid([
      "export",
      "--checkpoint",
      "run",
      "--no-measure",
      "--saved-model-path",
      "models/tiny",
      "--model-version",
      "2",
      "--onnx",
      "pair.onnx",
    ]);
    expect(exported.code).toBe(0);
    expect(existsSync(join(work, "pair.onnx"))).toBe(true);
    const inspected = await faceid(["inspect", "models/tiny", "--json"]);
    const reports = JSON.parse(inspected.stdout);
    expect(reports).toHaveLength(2);
    expect(reports[0].signatures.map(({ name }: { name: string }) => name).sort()).toEqual([
      "compare",
      "embed",
      "serving_default",
      "verify_encoded",
    ]);
    const converted = await faceid([
      "convert",
      "models/tiny/1",
      "--signature",
      "embed",
      "--onnx",
      "embed.onnx",
    ]);
    expect(converted.code).toBe(0);
  });

  it("make a SavedModel of an ONNX file", async () => {
    const converted = await faceid(["convert", "embed.onnx", "--saved-model", "embedding/1"]);
    expect(converted).toMatchObject({ code: 0, stdout: "embedding/1\n" });
    const { stdout } = await faceid(["inspect", "embedding/1", "--json"]);
    const [report] = JSON.parse(stdout);
    expect(report.signatures).toHaveLength(1);
    expect(report.signatures[0].inputs).toMatchObject([
      { name: "input_image", shape: [-1, expect.any(Number), expect.any(Number), 3] },
    ]);
    expect(report.operations.every(({ supported }: { supported: boolean }) => supported)).toBe(true);
  });

  it("write a SavedModel once more, with all its signatures", async () => {
    const again = await faceid(["convert", "models/tiny/1", "--saved-model", "again/1"]);
    expect(again).toMatchObject({ code: 0, stdout: "again/1\n" });
    const reports = await Promise.all(
      ["models/tiny/1", "again/1"].map((folder) => faceid(["inspect", folder, "--json"])),
    );
    const [before, after] = reports.map(({ stdout }) => JSON.parse(stdout)[0]);
    expect(after.parameters).toBe(before.parameters);
    expect(after.operations.every(({ supported }: { supported: boolean }) => supported)).toBe(true);
    const names = (report: typeof after) =>
      report.signatures.map(({ name }: { name: string }) => name).sort();
    expect(names(after)).toEqual(names(before));
    expect(await faceid(["convert", "models/tiny/1"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("nothing to write"),
    });
  });
});

describe("serve and request", () => {
  it("answer about photographs over REST and gRPC, and end in good order", async () => {
    const [grpcPort, restPort] = [await freePort(), await freePort()];
    await faceid([
      "dataset",
      "synthesize",
      "--identities",
      "2",
      "--images-per-identity",
      "2",
      "--output",
      "photos",
    ]);
    const [one, two] = ["photos/0/0.png", "photos/1/0.png"];
    const server = await serve([
      "--model_name=tiny",
      `--model_base_path=${join(work, "models/tiny")}`,
      `--port=${grpcPort}`,
      "--rest_api_port",
      String(restPort),
      "--rest_api_num_threads=4",
    ]);
    const url = ["--url", `http://localhost:${restPort}`];
    const rest = await faceid(["request", one, two, ...url, "--model-name", "tiny"]);
    expect(rest.stdout).toMatch(/^\{"predictions": \[\[0\.\d+\]\]\}\n$/);
    const grpc = await faceid([
      "request",
      one,
      two,
      "--grpc",
      `localhost:${grpcPort}`,
      "--model-name",
      "tiny",
    ]);
    const probability = ({ stdout }: Outcome) => JSON.parse(stdout).predictions[0][0];
    expect(probability(grpc)).toBeCloseTo(probability(rest), 4);
    const file = (path: string) => ({ b64: readFileSync(join(work, path)).toString("base64") });
    const encoded = await fetch(`http://localhost:${restPort}/v1/models/tiny:predict`, {
      method: "POST",
      body: JSON.stringify({
        signature_name: "verify_encoded",
        instances: [{ anchor_bytes: file(one), verification_bytes: file(two) }],
      }),
    });
    const { predictions } = (await encoded.json()) as { predictions: [[number]] };
    expect(predictions[0][0]).toBeCloseTo(probability(rest), 3);
    expect(await faceid(["request", one, one, ...url, "--model-name", "other"])).toMatchObject({
      code: 9,
      stdout: '{"error": "Servable not found for request: Latest(other)"}\n',
    });
    const port = await faceid([
      "serve",
      "--model_base_path",
      join(work, "models/tiny"),
      "--port",
      "0",
      "--rest_api_port",
      String(restPort),
    ]);
    expect(port).toMatchObject({
      code: 10,
      stderr: expect.stringContaining(`cannot listen on REST port ${restPort}`),
    });
    const ended = exitOf(server);
    server.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(await faceid(["request", one, two, ...url])).toMatchObject({
      code: 9,
      stderr: expect.stringContaining("no server answers at"),
    });
  });

  it("say what is wrong with images and models", async () => {
    mkdirSync(join(work, "empty"), { recursive: true });
    expect(await faceid(["request", "nope.jpg", "nope.jpg"])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("there is no file nope.jpg"),
    });
    expect(await faceid(["serve", "--rest_api_port", "1"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there is no model to serve"),
    });
    expect(await faceid(["inspect", "empty"])).toMatchObject({ code: 8 });
    expect(await faceid(["convert", "nowhere", "--onnx", "x.onnx"])).toMatchObject({ code: 8 });
  });
});
