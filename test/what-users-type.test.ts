/** @file What users type and have by mistake, by the real command: empty flags, odd names, short pairs files, wrong files. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { encodePng } from "../src/image/decode.ts";
import { plain } from "./support/photos.ts";
import { TINY_FLAGS, temporaryFolder } from "./support/tiny-run.ts";

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "bin/faceid.js");
const MODEL = SHIPPED_VERSION;
const work = temporaryFolder("typed");

function faceid(args: readonly string[], { cwd = work, env = {} }: { cwd?: string; env?: object } = {}) {
  const { npm_command: _npx, ...inherited } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    cwd,
    env: { ...inherited, ...env },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

/** A folder with so many photographs, each different, of so many people. */
async function people(name: string, count: number, photographs: number): Promise<string> {
  for (let person = 0; person < count; person++) {
    const folder = join(work, name, `p${person}`);
    mkdirSync(folder, { recursive: true });
    for (let i = 1; i <= photographs; i++) {
      const file = await encodePng(plain(24, [10 * i, 20 * person, 90]), 24, 24);
      writeFileSync(join(folder, `${i}.png`), file);
    }
  }
  return join(work, name);
}
const mine = await people("mine", 8, 3);

describe("a model on somebody's own folder", () => {
  const measured = ["evaluate", "--saved-model", MODEL, "--dataset-path", mine, "--faces", "none"];

  it("is measured on the people of that folder, not on people it was not trained on", () => {
    const { stdout } = faceid(measured);
    expect(stdout).toMatch(/^on 48 pairs of people of mine \(24 same, 24 different\)$/m);
    expect(stdout).toContain("whether the model was trained on these people is unknown");
    expect(stdout).toMatch(
      /too few pairs for a verdict: 24 of one person and 24 of two people; .*until then\n$/,
    );
    expect(stdout).not.toContain("not trained on (");
    expect(stdout).toMatch(
      /, threshold from the model's record \(\d+ validation people of lfw\), measured with the float32 version$/m,
    );
    const { people, protocol, verdict } = JSON.parse(faceid([...measured, "--json"]).stdout);
    expect([people, protocol]).toEqual([{ dataset: "mine", heldOut: false }, "people of a dataset"]);
    expect(verdict).toContain("too few pairs for a verdict");
  });

  it.each([
    ["p0\t1\t2\n", "got one fold, 1 of one person and 0 of two people"],
    ["p0\t1\t2\np0\t1\tp1\t1\n", "got one fold, 1 of one person and 1 of two people"],
    ["p0\t1\t2\np0\t1\tp1\t1\np1\t1\t2\n", "got one fold, 2 of one person and 1 of two people"],
  ])("is not measured on the pairs %j, before any work", (text, message) => {
    writeFileSync(join(work, "pairs.txt"), text);
    const { status, stderr } = faceid([...measured, "--pairs", "pairs.txt"]);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/\n {2}add pairs of both kinds; .*dataset pairs FOLDER/);
    expect(stderr).not.toContain("measuring");
    expect(status).toBe(3);
  });
});

it("a photograph is no pairs file", () => {
  const args = ["evaluate", "--saved-model", MODEL, "--dataset-path", mine, "--faces", "none"];
  const { status, stderr } = faceid([...args, "--pairs", join(mine, "p0", "1.png")]);
  expect(stderr).toMatch(/^error: .*1\.png is no text file\n {2}expected lines with a pair/m);
  expect(status).toBe(3);
});

describe("a photograph that cannot be read", () => {
  it("is left out by quantize, which says so", async () => {
    const images = join(work, "calibration");
    mkdirSync(join(images, "p0"), { recursive: true });
    for (let i = 1; i < 18; i++) {
      const stripes = plain(24, [0, 0, 0]).map((_, at) => (at * i) % 251);
      writeFileSync(join(images, "p0", `${i}.png`), await encodePng(stripes, 24, 24));
    }
    writeFileSync(join(images, "p0", "0.jpg"), "\xff\xd8\xff\xe0 cut", "latin1");
    const args = [
      "quantize",
      MODEL,
      "--images",
      images,
      "--count",
      "9",
      "--faces",
      "none",
      "--output",
      "int8/1",
    ];
    const { status, stdout, stderr } = faceid(args);
    // It is both; which of the two libvips says first differs from run to run.
    expect(stderr).toMatch(
      /warning: cannot read .*0\.jpg: (?:the file is cut off|its bytes are damaged); it is left out, 1 unreadable image so far/,
    );
    expect(stdout).toContain("left out        1 image that cannot be read");
    expect(status).toBe(0);
  });
});

describe("the start of a run", () => {
  it("says after five steps how long it will take, where no bar does", () => {
    const folder = mkdtempSync(join(work, "timed-"));
    const args = ["train", ...TINY_FLAGS, "--dataset-size", "48", "--epochs", "1", "--no-export"];
    const { status, stderr } = faceid(args, { cwd: folder });
    expect(stderr).toMatch(/^about \d+s to train$/m);
    expect(stderr.indexOf("about ")).toBeGreaterThan(stderr.indexOf("12 steps of 4 pairs"));
    expect(status).toBe(0);
  });

  it("complains of a dataset that is not there, not of an earlier run", () => {
    const folder = mkdtempSync(join(work, "earlier-"));
    mkdirSync(join(folder, "runs/latest"), { recursive: true });
    writeFileSync(join(folder, "runs/latest/last.safetensors"), "");
    const { stderr } = faceid(["train", "--dataset-path", "nope"], { cwd: folder });
    expect(stderr).toMatch(/^error: there is no folder .*nope\n {2}check --dataset-path/);
  });
});

describe("a value that is empty, or a name that looks like a flag", () => {
  it.each([
    [["request", "a.jpg", "b.jpg", "--url", ""], "--url is empty"],
    [["request", "a.jpg", "b.jpg", "--grpc", ""], "--grpc is empty"],
    [["gallery", "list", "--gallery", ""], "--gallery (FACEID_GALLERY) is empty"],
    [["gallery", "show", "-dash", "--gallery", "g"], "comes after two dashes: -- -dash"],
  ])("%j is answered with the flag", (args, message) => {
    const { status, stderr } = faceid(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("docs/library.md");
    expect(status).toBe(2);
  });

  it("an empty FACEID_GALLERY too", () => {
    const { stderr } = faceid(["gallery", "list"], { env: { FACEID_GALLERY: "" } });
    expect(stderr).toContain("FACEID_GALLERY");
    expect(stderr).not.toContain("docs/library.md");
  });

  it("hints of a gallery's commands name the gallery, quoted", () => {
    const { stderr } = faceid(["gallery", "list", "--gallery", "my staff"]);
    expect(stderr).toMatch(/gallery create --gallery ['"]my staff['"] makes one/);
  });

  it("a quote of .env that is never closed is refused by its line", () => {
    const folder = mkdtempSync(join(work, "env-"));
    writeFileSync(join(folder, ".env"), '\n# mine\nDATASET_PATH="my photos\nEPOCHS=3\n');
    const { status, stderr } = faceid(["dataset", "info"], { cwd: folder });
    expect(stderr).toMatch(
      /^error: \.env:3: the quote is never closed: got .*\n {2}write DATASET_PATH="value"/,
    );
    expect(status).toBe(2);
  });
});

describe("a .env as Windows' editors save it", () => {
  const TEXT = [
    "FACEID_OFFLINE=1",
    "FACEID_MODELS_DIR=no-packs",
    "FACEID_GALLERY=no-gallery",
    "EPOCHS=many",
    "",
  ].join("\r\n");
  const SAVED = {
    "UTF-8 with a byte-order mark": Buffer.from(`\uFEFF${TEXT}`),
    "UTF-16 LE": Buffer.from(`\uFEFF${TEXT}`, "utf16le"),
    "UTF-16 BE": Buffer.from(`\uFEFF${TEXT}`, "utf16le").swap16(),
  };
  const env = Object.fromEntries(
    ["FACEID_MODELS_DIR", "FACEID_OFFLINE", "FACEID_GALLERY", "EPOCHS"].map((name) => [name, undefined]),
  );

  it.each([
    ["UTF-8 with a byte-order mark", ["models", "list"], "not here"],
    ["UTF-16 LE", ["serve", "--pack", "opencv-sface", "--rest_api_port", "8533"], "FACEID_OFFLINE forbids"],
    ["UTF-16 BE", ["gallery", "list"], "there is no gallery in no-gallery"],
    ["UTF-16 LE", ["train", "--dataset", "synthetic"], 'EPOCHS in .env: got "many"'],
  ] as const)("is read from %s by faceid %j", (saved, command, expected) => {
    const folder = mkdtempSync(join(work, "env-"));
    writeFileSync(join(folder, ".env"), SAVED[saved]);
    const { stdout, stderr } = faceid(command, { cwd: folder, env });
    expect(stdout + stderr).toContain(expected);
  });

  it.each([
    ["UTF-8 with a byte-order mark", ["verify", "a.jpg", "b.jpg"]],
    ["UTF-16 LE", ["request", "a.jpg", "b.jpg"]],
    ["UTF-16 BE", ["serve", "--pack", "opencv-sface"]],
  ] as const)("is refused for a misspelt name from %s by faceid %j", (saved, command) => {
    const folder = mkdtempSync(join(work, "env-"));
    const text = SAVED[saved];
    const more = Buffer.from("FACEID_GALERY=x\r\n", saved.startsWith("UTF-8") ? "utf8" : "utf16le");
    writeFileSync(join(folder, ".env"), Buffer.concat([text, saved === "UTF-16 BE" ? more.swap16() : more]));
    const { status, stderr } = faceid(command, { cwd: folder, env });
    expect(stderr).toMatch(/^error: unknown setting FACEID_GALERY in \.env, did you mean FACEID_GALLERY\?/);
    expect(status).toBe(2);
  });

  it("is asked for where Notepad has added an ending to its name", () => {
    const folder = mkdtempSync(join(work, "env-"));
    writeFileSync(join(folder, ".env.txt"), TEXT);
    const { stderr } = faceid(["gallery", "list"], { cwd: folder, env });
    expect(stderr).toMatch(/^warning: \.env\.txt is not read; rename it to \.env\n/);
    writeFileSync(join(folder, ".env"), TEXT);
    expect(faceid(["gallery", "list"], { cwd: folder, env }).stderr).not.toContain("warning");
  });
});

describe.skipIf(process.platform === "win32")("control characters in names", () => {
  it("are written out, whatever prints them", async () => {
    const folder = join(work, "odd\u001b[31m");
    for (const [i, name] of ["an\nn", "b\rob"].entries()) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, "1\t.png"), await encodePng(plain(24, [i, 9, 9]), 24, 24));
      writeFileSync(join(folder, name, "2\u0007.jpg"), "no image");
    }
    const commands = [
      ["dataset", "info", "--dataset-path", folder],
      ["dataset", "preview", "--dataset-path", folder, "--output", join(work, "odd.png")],
      ["inspect", join(folder, "an\nn")],
      ["convert", join(folder, "none\u001b[2J"), "--onnx", "x.onnx"],
    ];
    for (const args of commands) {
      const { stdout, stderr } = faceid(args);
      const text = stdout + stderr;
      expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
      expect(text).not.toMatch(/^n(\b|\/)/m);
      expect(text).toMatch(/\\n|\\u001b/);
    }
  });
});
