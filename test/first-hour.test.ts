/** @file What a first user meets outside the happy path: missing native parts, ports in use, terminals, programs that fail. */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { SHIPPED_MODEL } from "../src/artifact/shipped.ts";
import { hasPseudoTerminal, onTerminal } from "./support/pseudo-terminal.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "bin/faceid.js");
const INDEX = pathToFileURL(join(ROOT, "dist/index.js")).href;
const MODEL = SHIPPED_MODEL;
const work = temporaryFolder("first-hour");

/** Runs the command with Node's flags before it. */
function faceid(args: readonly string[], nodeFlags: readonly string[] = [], cwd = work) {
  const { npm_command: _npx, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, BIN, ...args], {
    cwd,
    env,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

/** A module that makes a package fail where it is imported or required, in this process and its threads. */
function failing(name: string, error: string): string {
  const file = join(work, `without-${name}.mjs`);
  const thrown = `Object.assign(new Error(${JSON.stringify(error)}), ${
    error.startsWith("Could") ? "{}" : '{ code: "ERR_DLOPEN_FAILED" }'
  })`;
  const hooks = `export async function resolve(s, c, next) {
    if (s === ${JSON.stringify(name)}) throw ${thrown};
    return next(s, c);
  }`;
  const url = `data:text/javascript,${encodeURIComponent(hooks)}`;
  writeFileSync(
    file,
    `import Module, { register } from "node:module";
    register(${JSON.stringify(url)});
    const load = Module._load;
    Module._load = function (request, ...others) {
      if (request === ${JSON.stringify(name)}) throw ${thrown};
      return load.call(this, request, ...others);
    };
    `,
  );
  return pathToFileURL(file).href;
}

describe("a machine without a native part", () => {
  it.each([
    ["sharp", 'Could not load the "sharp" module using the linux-x64 runtime', "--include=optional sharp"],
    [
      "onnxruntime-node",
      "Error loading shared library ld-linux-x86-64.so.2: No such file (needed by onnxruntime_binding.node)",
      "64-bit Linux with glibc",
    ],
  ])("says so in one line where %s cannot be loaded", (name, error, hint) => {
    const image = join(ROOT, "docs/images/faceid_model.png");
    const args = ["verify", image, image, "--no-detect", "--model", MODEL];
    const { status, stderr } = faceid(args, ["--import", failing(name, error)]);
    expect(stderr).toMatch(/^error: .*cannot be loaded on \w+ \w+.*\n {2}/m);
    expect(stderr).toContain(hint);
    expect(stderr).not.toContain("\n    at ");
    expect(status).toBe(12);
  });

  it("says so on an older Node", () => {
    const old = join(work, "old.mjs");
    writeFileSync(old, `Object.defineProperty(process.versions, "node", { value: "18.20.4" });\n`);
    const { status, stderr } = faceid(["--help"], ["--import", pathToFileURL(old).href]);
    expect(stderr).toMatch(/^error: faceid needs Node 20\.19 or newer, this is 18\.20\.4\n {2}/);
    expect(status).toBe(12);
  });
});

describe("a version that is there", () => {
  const models = join(work, "versions/my model");
  for (const version of ["1", "4"]) {
    mkdirSync(join(models, version), { recursive: true });
    writeFileSync(join(models, version, "saved_model.pb"), "");
  }

  it.each([
    [
      ["export", "--model-version=4", "--saved-model-path", models, "--no-measure"],
      `export --saved-model-path '${models}' --no-measure --model-version 5`,
    ],
    [["convert", MODEL, "--saved-model", join(models, "1")], `--saved-model '${join(models, "5")}'`],
    [
      ["quantize", MODEL, "--weights", "float16", "--output", join(models, "4")],
      "--weights float16 --output",
    ],
  ])("is answered with the command for the next one: %j", (args, command) => {
    const { stderr, status } = faceid(args);
    expect(stderr).toContain("exists already\n  write the next version: ");
    expect(stderr).toContain(command);
    expect(stderr).toMatch(/\b5'?\n$/);
    expect(status).toBe(3);
  });

  it("is no version where the name is no number", () => {
    const { stderr } = faceid(["convert", MODEL, "--saved-model", models]);
    expect(stderr).toContain("choose another --saved-model, or remove that folder first\n");
    const drawn = faceid(["dataset", "synthesize", "--output", models]);
    expect(drawn.stderr).toContain("choose another folder, or remove that one first\n");
  });
});

describe("a port", () => {
  it.each([
    ["rest_api_port", "::"],
    ["port", "0.0.0.0"],
  ])("of --%s in use is found before the model is loaded", async (flag, host) => {
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, host, done));
    const { port } = other.address() as { port: number };
    const off = flag === "port" ? [] : ["--port=0"];
    const { stderr } = await run(process.execPath, [
      BIN,
      "serve",
      ...off,
      `--${flag}=${port}`,
      `--model_base_path=${MODEL}`,
    ]).catch((error: { stderr: string; code: number }) => error);
    await new Promise((done) => other.close(done));
    expect(stderr).toMatch(new RegExp(`port ${port}: EADDRINUSE, another program listens on it`));
    expect(stderr).toContain(`or choose another --${flag}\n`);
    expect(stderr).not.toContain("oaded servable");
  });

  it("in use is named by the flag of faceid app", async () => {
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, "::", done));
    const { port } = other.address() as { port: number };
    const { stderr, status } = faceid(["app", `--port=${port}`]);
    await new Promise((done) => other.close(done));
    expect(stderr).toContain(`port ${port}: EADDRINUSE`);
    expect(stderr).toContain("or choose another --port\n");
    expect(status).toBe(10);
  });

  it("of REST that is suggested is free of the other interfaces", () => {
    const asked = (port: number) => faceid(["serve", `--port=${port}`, "--pack=opencv-sface"]).stderr;
    expect(asked(8500)).toContain("add --rest_api_port 8501\n");
    expect(asked(8501)).toContain("add --rest_api_port 8502\n");
  });

  it("that is none, or twice the same, is refused", () => {
    const none = faceid(["serve", "--rest_api_port=70000", `--model_base_path=${MODEL}`]);
    expect(none.stderr).toContain("--rest_api_port: got 70000");
    const twice = faceid(["serve", "--rest_api_port=8555", "--port=8555", `--model_base_path=${MODEL}`]);
    expect(twice.stderr).toContain("cannot share the port 8555");
    expect([none.status, twice.status]).toEqual([2, 2]);
  });
});

describe("a program that does not close what it opened", () => {
  it.each([
    [
      "a model, after a failure",
      `const m = await faceid.loadModel(model); await m.verify("none.jpg", "none.jpg")`,
    ],
    ["a model, after use", `const m = await faceid.loadModel(model); await m.embed([photo, photo])`],
    ["signatures", `const m = await faceid.loadSignatures(model + "/1"); await m.run("none", new Map())`],
    [
      "a training run whose listener fails",
      `await faceid.train({ folder: "run", config: { dataset: "synthetic", model: "compact", epochs: 1, datasetSize: 16,
        batchSize: 8, idTo: 20, validationPairs: 10 }, listeners: [{ onStep() { throw new Error("stop"); } }] })`,
    ],
  ])("ends all the same: %s", async (_, body) => {
    const photo = join(ROOT, "docs/images/faceid_model.png");
    const program = `import * as faceid from ${JSON.stringify(INDEX)};
      const [model, photo] = ${JSON.stringify([MODEL, photo])};
      try { ${body}; } catch (error) { console.log("failed"); }
      console.log("end");`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: work });
    expect(stdout).toContain("end");
  });
});

describe("pictures", () => {
  it.each([
    [["dataset", "preview", "--dataset", "synthetic", "--output", "x.webp"], ".png, .jpg or .jpeg"],
    [["plot", "--output", "x.webp"], ".svg or .png"],
    [["summary", "--output", "x.jpg"], ".svg or .png"],
    [["verify", "a.jpg", "b.jpg", "--show", "x.jpg"], ".png"],
    [["faces", "a.jpg", "--show", "x.jpeg"], ".png"],
  ])("are what their name says: %s", (args, endings) => {
    const { status, stderr } = faceid(args);
    expect(stderr).toContain(endings);
    expect(status).toBe(2);
  });
});

/** A provider that no build for this system has. */
const ABSENT = process.platform === "darwin" ? "dml" : "coreml";

describe("an execution provider", () => {
  it.each([
    ["gpu", "expected one of cpu, cuda"],
    [ABSENT, `${ABSENT} does not work on this machine`],
  ])("%s that cannot be used is refused", (provider, message) => {
    const args = ["train", "--dataset", "synthetic", "--model", "compact", "--epochs", "1", "--id-to", "20"];
    const folder = join(work, `provider-${provider}`);
    mkdirSync(folder);
    const sizes = ["--dataset-size", "16", "--batch-size", "8", "--validation-pairs", "10", "--no-export"];
    const { status, stderr } = faceid([...args, ...sizes, "--provider", provider], [], folder);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});

describe.skipIf(!hasPseudoTerminal)("the bar of a training run", () => {
  it.each([80, 40])("stays on one line of a terminal of %i columns", async (columns) => {
    const folder = join(work, `pty-${columns}`);
    mkdirSync(folder);
    const args = ["train", "--dataset", "synthetic", "--model", "compact", "--epochs", "1", "--id-to", "20"];
    const sizes = ["--dataset-size", "64", "--batch-size", "8", "--validation-pairs", "10", "--no-export"];
    const { stdout } = await run(...onTerminal(columns, [process.execPath, BIN, ...args, ...sizes]), {
      cwd: folder,
      maxBuffer: 2 ** 24,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's codes
    const drawn = [...stdout.matchAll(/\r\u001b\[2K([^\r\n]*)/g)].map(([, line]) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's codes
      line!.replaceAll(/\u001b\[[0-9;]*m/g, ""),
    );
    expect(drawn.filter((line) => line.startsWith("epoch 1/1")).length).toBeGreaterThan(4);
    expect(Math.max(...drawn.filter((line) => line.includes("━")).map(({ length }) => length))).toBeLessThan(
      columns,
    );
    expect(stdout.split("\n").filter((line) => line.includes("━") && !line.includes("\r")).length).toBe(0);
  });
});
