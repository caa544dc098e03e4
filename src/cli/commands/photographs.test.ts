/** @file Whole photographs through the command and the library; skipped where the pack's files or LFW are absent. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { SHIPPED_MODEL, SHIPPED_NAME } from "../../artifact/shipped.ts";
import { writeSynthetic } from "../../data/drawn.ts";
import { models } from "../../faces/models.ts";
import { decodePixels, encodePng } from "../../image/decode.ts";
import { imageSettings } from "../../image/settings.ts";
import { loadModel } from "../../verify/face-model.ts";
import { loadFaceModel } from "../../verify/load-face-model.ts";
import type { PhotoModel } from "../../verify/photo-model.ts";
import { run } from "../main.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SHARED = join(ROOT, "../shared");
const FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const photo = (name: string, number: number) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);
const [ONE, TWO, OTHER] = [photo("Aaron_Peirsol", 1), photo("Aaron_Peirsol", 2), photo("Abba_Eban", 1)];

const work = await temporaryFolder();
const packs = join(work, "packs");
const blank = join(work, "blank.png");

/** Runs the command in this process. */
async function faceid(args: readonly string[]) {
  const lines = { stdout: "", stderr: "" };
  const stdout = vi.spyOn(console, "log").mockImplementation((line) => {
    lines.stdout += `${line}\n`;
  });
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    lines.stderr += String(text);
    return true;
  });
  const error = vi.spyOn(console, "error").mockImplementation((line) => {
    lines.stderr += `${line}\n`;
  });
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    await run(["node", "faceid", ...args]);
    return { status: process.exitCode ?? 0, ...lines };
  } finally {
    process.exitCode = before;
    for (const spy of [stdout, write, error]) spy.mockRestore();
  }
}

interface Answer {
  readonly same: boolean;
  readonly similarity: number;
  readonly threshold: number;
  readonly falseAcceptRate: { readonly estimate: number; readonly low: number; readonly high: number };
  readonly model: string;
  readonly faces: readonly {
    readonly box: number[];
    readonly landmarks: number[][];
    readonly score: number;
  }[];
}

const answerOf = (text: string) => JSON.parse(text) as Answer;

beforeAll(async () => {
  writeFileSync(blank, await encodePng(new Uint8Array(300 * 200 * 3).fill(128), 300, 200));
});

describe("without a model pack", () => {
  beforeAll(() => {
    vi.stubEnv("FACEID_MODELS_DIR", join(work, "no-packs"));
    vi.stubEnv("FACEID_OFFLINE", "1");
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  it("says how to get it, with an exit code that is no answer", async () => {
    const { status, stdout, stderr } = await faceid(["verify", blank, blank]);
    expect(stderr).toContain("FACEID_OFFLINE forbids");
    expect(stderr).toContain("faceid models add opencv-sface");
    expect([status, stdout]).toEqual([8, ""]);
  });

  it("says first which photographs are not there, before a pack would be fetched", async () => {
    const [one, two] = [join(work, "none-1.jpg"), join(work, "none-2.jpg")];
    const { status, stderr } = await faceid(["verify", one, two]);
    const missing = `cannot read ${one}: no such file; cannot read ${two}: no such file`;
    expect([status, stderr]).toEqual([3, `error: ${missing}\n  check the path\n`]);
    const second = await faceid(["verify", blank, two, "--json"]);
    expect(JSON.parse(second.stdout)).toEqual({
      error: { code: "IMAGE_UNREADABLE", message: `cannot read ${two}: no such file`, image: two },
    });
    expect((await faceid(["verify", one, work])).status).toBe(3);
    // A model that is no pack takes the pack's detector.
    const own = await faceid(["verify", "--model", SHIPPED_NAME, one, two]);
    expect([own.status, own.stderr]).toEqual([3, `error: ${missing}\n  check the path\n`]);
    expect((await faceid(["verify", "--model", SHIPPED_NAME, one, work])).stderr).toContain(one);
  });

  it.each([
    ["faces"],
    ["gallery", "identify"],
    ["gallery", "add", "Ann"],
    ["gallery", "add", "--model", SHIPPED_NAME, "Ann"],
  ])("says first that no photograph is there: %j %j", async (...command) => {
    const gallery = command[0] === "gallery" ? ["--gallery", join(work, "never-made")] : [];
    const [one, two] = [join(work, "none-1.jpg"), join(work, "none-2.jpg")];
    for (const photos of [[one], [one, two]]) {
      const { status, stdout, stderr } = await faceid([...command, ...photos, ...gallery]);
      for (const path of photos) expect(stdout + stderr).toContain(`cannot read ${path}: no such file`);
      expect(stderr).not.toContain("FACEID_OFFLINE");
      expect(status).toBe(3);
    }
    // What can be answered of the others needs the pack.
    const faces = await faceid(["faces", blank, two]);
    expect([faces.status, faces.stdout]).toEqual([8, ""]);
    expect(existsSync(join(work, "never-made"))).toBe(false);
  });

  it.each([
    ["cluster"],
    ["embed", "--output", join(work, "none.npy")],
    ["embed", "--model", SHIPPED_NAME, "--output", join(work, "none.npy")],
    ["crop", "--output", join(work, "none-crops")],
    ["gallery", "enrol", "--gallery", join(work, "never-made")],
    ["gallery", "enrol", "--model", SHIPPED_NAME, "--gallery", join(work, "never-made")],
    ["quantize", SHIPPED_NAME, "--output", join(work, "none-int8"), "--images"],
    ["evaluate", "--pack", "opencv-sface", "--dataset-path"],
    ["report", "opencv-sface", "--output", join(work, "none.html"), "--dataset-path"],
    ["calibrate", "opencv-sface", "--dataset-path"],
  ])("says first that a folder is not there: %j", async (...command) => {
    const { status, stderr } = await faceid([...command, join(work, "no-folder")]);
    expect(stderr).toMatch(/^error: there is no folder .*no-folder$/m);
    expect(status).toBe(3);
  });

  it("says so as one JSON object", async () => {
    const { status, stdout } = await faceid(["verify", blank, blank, "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: "PACK_MISSING", message: expect.stringContaining("opencv-sface") },
    });
    expect(status).toBe(8);
  });

  it("cannot look for faces for an exported model either", async () => {
    const { status, stderr } = await faceid(["verify", blank, blank, "--model", SHIPPED_MODEL]);
    expect(stderr).toContain(`error: no detector that finds faces for ${SHIPPED_MODEL}: the model pack`);
    expect(stderr).toContain("faceid models add opencv-sface");
    expect(stderr).toContain("do without:          pass --no-detect");
    expect(status).toBe(8);
  });

  it("compares crops by the model of the repository, and names it", async () => {
    const drawn = join(work, "drawn");
    await writeSynthetic({
      output: drawn,
      identities: 1,
      imagesPerIdentity: 1,
      settings: imageSettings(112),
    });
    const crop = join(drawn, "0/0.png");
    const { status, stdout, stderr } = await faceid(["verify", crop, crop, "--no-detect"]);
    expect(stderr).toMatch(new RegExp(`^warning: .*opencv-sface.*using the model ${SHIPPED_NAME}`));
    expect(stdout).toMatch(/^same person\n/);
    expect(stdout).not.toContain("taken whole");
    expect(stdout).toMatch(
      /^threshold +0\.863 {2}\(for a false accept rate of 0\.01, the lowest of this model\)$/m,
    );
    const asked = await faceid(["verify", crop, crop, "--no-detect", "--far", "0.1"]);
    expect(asked.stdout).toMatch(/^threshold +0\.\d{3} {2}\(for a false accept rate of 0\.1\)$/m);
    // A program that compares crops decides at the same threshold.
    await using model = await loadModel(SHIPPED_NAME);
    expect(await model.verify(crop, crop)).toMatchObject({
      same: true,
      threshold: expect.closeTo(0.863, 3),
      far: 0.01,
      falseAcceptRate: { weights: "float32" },
    });
    expect(stdout).toMatch(new RegExp(`^model +${SHIPPED_NAME}$`, "m"));
    expect(stdout).toMatch(/^warning: no face was looked for/m);
    expect(status).toBe(0);
    const told = await faceid(["verify", crop, crop, "--no-detect", "--json"]);
    expect(JSON.parse(told.stdout)).toMatchObject({
      warnings: [expect.stringMatching(/^no face was looked for/)],
    });
    // No pack is fetched for it, even where one may be.
    vi.stubEnv("FACEID_OFFLINE", "");
    vi.stubEnv("FACEID_MODELS_URL", "http://127.0.0.1:9");
    const online = await faceid(["verify", crop, crop, "--no-detect"]);
    vi.stubEnv("FACEID_OFFLINE", "1");
    expect(online.stdout).toBe(stdout);
    expect(online.stderr).not.toContain("fetch it");
    expect(online.stderr).not.toContain("127.0.0.1");
    // What only a pack has is asked of the pack.
    const eightBits = await faceid(["verify", crop, crop, "--no-detect", "--precision", "int8"]);
    expect(eightBits.stderr).toContain("error: the model pack opencv-sface is not here");
    expect(eightBits.status).toBe(8);
  });

  it("warns of pictures that hardly are crops by their size", async () => {
    const noise = (side: number, other = side) =>
      encodePng(
        Uint8Array.from(
          { length: side * other * 3 },
          (_, i) => ((i * i) % 151) + Math.floor((100 * i) / (side * other * 3)),
        ),
        side,
        other,
      );
    const [crop, whole, wide, tiny] = ["crop", "whole", "wide", "tiny"].map((name) =>
      join(work, `${name}.png`),
    );
    writeFileSync(crop!, await noise(112));
    writeFileSync(whole!, await noise(300));
    writeFileSync(wide!, await noise(150, 112));
    writeFileSync(tiny!, await noise(20));
    const tell = (path: string, size: string) =>
      `${path} has ${size} pixels and was taken whole, scaled to 112x112; the model compares crops of a face, and no face was looked for`;
    const { stdout } = await faceid(["verify", crop!, whole!, "--no-detect"]);
    expect(stdout).toContain(`\nwarning: ${tell(whole!, "300x300")}\n`);
    const json = JSON.parse((await faceid(["verify", wide!, tiny!, "--no-detect", "--json"])).stdout);
    expect(json.warnings.slice(1)).toEqual([
      tell(wide!, "150x112"),
      `${tiny} has 20x20 pixels, enlarged to 112x112: too few to tell people apart`,
    ]);
    const folder = join(work, "pictures");
    mkdirSync(folder);
    for (const [i, path] of [crop, whole, whole, whole, wide].entries())
      copyFileSync(path!, join(folder, `${i}.png`));
    const many = await faceid(["verify", crop!, folder, "--no-detect"]);
    expect(many.stdout.match(/^warning: .*taken whole/gm)).toHaveLength(3);
    expect(many.stdout).toMatch(/^warning: 1 more picture like these; --json names them$/m);
    expect(many.stdout).toMatch(/^pictures compared {2}5$/m);
    await using model = await loadModel(SHIPPED_NAME);
    expect((await model.verify(crop!, whole!)).warnings).toEqual([tell(whole!, "300x300")]);
    expect(await model.verify(crop!, crop!)).not.toHaveProperty("warnings");
  });

  it("takes no picture of one colour, or nearly so, for a crop of a face", async () => {
    const message = "is of one colour, or nearly so: it shows no face";
    const { status, stdout } = await faceid(["verify", blank, blank, "--no-detect", "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: "FACE_NOT_FOUND", message: `${blank} ${message}`, image: blank },
    });
    expect(status).toBe(11);
    const faint = await encodePng(
      Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => 200 + (i % 4)),
      64,
      64,
    );
    await using model = await loadModel(SHIPPED_NAME);
    await expect(model.verify(faint, faint)).rejects.toMatchObject({
      code: "FACE_NOT_FOUND",
      message: `the photograph ${message}`,
    });
    await expect(model.embed([blank])).rejects.toMatchObject({ message: `${blank} ${message}` });
  });
});

describe.skipIf(!isThere)(`with the pack${note}`, () => {
  let model: PhotoModel;
  beforeAll(async () => {
    vi.stubEnv("FACEID_MODELS_DIR", packs);
    await models.add("opencv-sface", { from: FILES });
    model = await loadFaceModel();
  });
  afterAll(async () => {
    await model?.close();
    vi.unstubAllEnvs();
  });

  it("tells one person from another by exit code and in words", async () => {
    const same = await faceid(["verify", ONE, TWO]);
    expect(same.stdout).toMatch(/^same person\n/);
    expect(same.stdout).toMatch(
      /similarity +0\.\d{3}\nthreshold +0\.\d{3} {2}\(for a false accept rate of 0\.001, the default\)\nfalse accept rate +0\.100 % +\(95 %: 0\.0\d\d\d % to 0\.\d{3} %\)/,
    );
    expect(same.status).toBe(0);
    const different = await faceid(["verify", ONE, OTHER]);
    expect(different.stdout).toMatch(/^different people\n/);
    expect(different.status).toBe(1);
  });

  it("prints one JSON object, and draws", async () => {
    const picture = join(work, "show.png");
    const { status, stdout } = await faceid(["verify", ONE, OTHER, "--json", "--show", picture]);
    const { faces, falseAcceptRate, ...rest } = answerOf(stdout);
    expect(rest).toEqual({
      same: false,
      similarity: expect.closeTo(0, 0),
      threshold: expect.any(Number),
      far: 0.001,
      model: "opencv-sface",
    });
    expect(falseAcceptRate.low).toBeLessThan(falseAcceptRate.estimate);
    expect(falseAcceptRate.high).toBeGreaterThan(falseAcceptRate.estimate);
    expect(faces).toHaveLength(2);
    for (const face of faces) {
      const names = ["box", "found", "landmarks", "number", "quality", "score", "warnings"];
      expect(Object.keys(face).toSorted()).toEqual(names);
      expect([face.box.length, face.landmarks.length]).toEqual([4, 5]);
    }
    expect(status).toBe(1);
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe("PNG");
    const text = await faceid(["verify", ONE, OTHER, "--show", picture]);
    expect(text.stdout).toContain(`\npicture            ${picture}\n`);
  });

  it("takes a stricter threshold for a lower false accept rate, and refuses one that was not measured", async () => {
    const at = async (far: string) =>
      answerOf((await faceid(["verify", ONE, TWO, "--json", "--far", far])).stdout);
    const [loose, strict] = [await at("0.1"), await at("0.0001")];
    expect(loose.threshold).toBeLessThan(strict.threshold);
    expect(strict.falseAcceptRate.estimate).toBeLessThanOrEqual(0.0001);
    const { status, stdout } = await faceid(["verify", ONE, TWO, "--json", "--far", "1e-6"]);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
    expect(status).toBe(64);
    const { stderr } = await faceid(["verify", ONE, TWO, "--far", "0.000001"]);
    expect(stderr).toContain("rate of 0.000001: the lowest that it supports is 0.0001");
    expect(stderr).toMatch(
      /with at least 10,000,000 pairs of different people: .*faceid calibrate MODEL --dataset-path PEOPLE --far 0\.000001$/m,
    );
    expect((await faceid(["verify", ONE, TWO, "--far", "0.00000001"])).stderr).toMatch(
      /takes 1,000,000,000 pairs of different people, and the model was calibrated on 55,682,017$/m,
    );
  });

  it("says which measured rate decides for one between two", async () => {
    const { stdout, status } = await faceid(["verify", ONE, TWO, "--far", "0.005"]);
    expect(stdout).toContain("note: no threshold was measured for a rate of 0.005; that of 0.001");
    expect(status).toBe(0);
    const json = JSON.parse((await faceid(["verify", ONE, TWO, "--far", "0.005", "--json"])).stdout);
    expect(json).toMatchObject({ far: 0.001, same: true });
    expect((await faceid(["verify", ONE, TWO, "--far", "0.001"])).stdout).not.toContain("note:");
  });

  it.each([
    [["--far", "0"], "--far"],
    [["--far", "1"], "--far"],
    [["--far", "2"], "--far"],
    [["--far", "abc"], "--far"],
    [["--face", "smallest"], "--face"],
    [["--shwo", "x.png"], "--show"],
    [["--show", "x.webp"], "--show"],
  ])(
    "answers %s with the flag's name, as text by code 2 and as JSON by a code above",
    async (flags, name) => {
      const text = await faceid(["verify", ONE, TWO, ...flags]);
      expect(text.stderr).toContain(name);
      expect([text.status, text.stdout]).toEqual([2, ""]);
      const json = await faceid(["verify", ONE, TWO, ...flags, "--json"]);
      expect(JSON.parse(json.stdout)).toEqual({
        error: { code: "CONFIG_INVALID", message: expect.stringContaining(name.slice(2)) },
      });
      expect(json.status).toBeGreaterThanOrEqual(3);
    },
  );

  it("gives numbers without noise", async () => {
    const { stdout } = await faceid(["verify", ONE, TWO, "--json"]);
    expect(stdout.match(/\d\.0*[1-9]\d{6,}/g)).toBeNull();
    expect((await faceid(["faces", ONE, "--json"])).stdout.match(/\d\.\d{5,}/g)).toBeNull();
  });

  it.each([
    ["far: 2", (m: PhotoModel) => m.verify(ONE, TWO, { far: 2 }), /far: got 2, expected/],
    ["far as text", (m: PhotoModel) => m.verify(ONE, TWO, { far: "0.001" } as object), /far: got "0.001"/],
    [
      "a misspelt key",
      (m: PhotoModel) => m.verify(ONE, TWO, { fra: 0.1 } as object),
      /fra \(got 0.1\), did you mean far/,
    ],
    [
      "a misspelt limit",
      (m: PhotoModel) => m.embed(ONE, { limits: { maxYow: 3 } as object }),
      /limits.maxYow \(got 3\), did you mean maxYaw/,
    ],
    [
      "a misspelt key of a pair",
      (m: PhotoModel) => m.readPair(ONE, TWO, { strcit: true } as object),
      /strcit \(got true\), did you mean strict/,
    ],
    [
      "no second photograph",
      (m: PhotoModel) => m.verify(ONE, undefined as unknown as string),
      /second photograph: got undefined/,
    ],
    ["an array", (m: PhotoModel) => m.faces([ONE] as unknown as string), /the photograph: got \["/],
    [
      "another choice",
      (m: PhotoModel) => m.embed(ONE, { face: "smallest" } as object),
      /face: got "smallest", expected one of largest/,
    ],
    [
      "null",
      (m: PhotoModel) => m.verify(ONE, TWO, null as unknown as object),
      /verify: got null, expected an object/,
    ],
  ])("refuses %s in a program by name and value", async (_, call, message) => {
    await expect(call(model)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it("names the photograph that shows no face, and the one that is none", async () => {
    const noFace = await faceid(["verify", ONE, blank, "--json"]);
    expect(JSON.parse(noFace.stdout)).toEqual({
      error: { code: "FACE_NOT_FOUND", message: expect.stringContaining(blank), image: blank },
    });
    expect(noFace.status).toBe(11);
    const second = join(work, "second.png");
    writeFileSync(second, readFileSync(blank));
    const neither = await faceid(["verify", blank, second]);
    expect(neither.status).toBe(11);
    expect(neither.stderr).toContain(`no face was found in ${blank}; no face was found in ${second}`);
    const missing = join(work, "missing.jpg");
    const unreadable = await faceid(["verify", missing, ONE, "--json"]);
    expect(JSON.parse(unreadable.stdout)).toMatchObject({
      error: { code: "IMAGE_UNREADABLE", image: missing },
    });
    expect(unreadable.status).toBe(3);
    const both = JSON.parse((await faceid(["verify", missing, blank, "--json"])).stdout);
    expect(both.error).toMatchObject({ code: "IMAGE_UNREADABLE", image: missing });
    expect(both.error.message).toContain(`no face was found in ${blank}`);
    await expect(model.verify(readFileSync(blank), blank)).rejects.toMatchObject({
      image: "the first photograph",
      message: `no face was found in the first photograph; no face was found in ${blank}`,
    });
  });

  it("draws over no photograph, into no missing folder, and several only into a folder", async () => {
    const copy = join(work, "copy.png");
    writeFileSync(copy, readFileSync(blank));
    const cases = [
      [["faces", copy, "--show", copy], 2, "would overwrite"],
      [["verify", ONE, copy, "--show", copy], 2, "would overwrite"],
      [["faces", ONE, "--show", join(work, "nowhere", "x.png")], 3, "cannot write to the folder"],
      [["faces", ONE, TWO, "--show", join(work, "two.png")], 2, "expected a folder"],
    ] as const;
    for (const [command, exit, message] of cases) {
      const { status, stderr } = await faceid([...command]);
      expect(stderr).toContain(message);
      expect(status).toBe(exit);
    }
    expect(readFileSync(copy)).toEqual(readFileSync(blank));
    expect(existsSync(join(work, "nowhere"))).toBe(false);
  });

  it("is not served where nobody could ask it: without REST", async () => {
    const { status, stderr } = await faceid(["serve", "--pack", "opencv-sface", "--port", "0"]);
    expect(stderr).toContain("--rest_api_port 8501");
    expect(status).toBe(2);
  });

  it("frees its sessions once, and refuses what comes after", async () => {
    const other = await loadFaceModel();
    await Promise.all([other.close(), other.close()]);
    await other.close();
    await expect(other.verify(ONE, TWO)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("finishes the calls that are under way when it is closed, and refuses later ones", async () => {
    const other = await loadFaceModel();
    const read = await other.readPair(ONE, TWO);
    const calls = [
      other.faces(ONE),
      other.embed(ONE),
      other.read(ONE),
      other.embedFaces(ONE),
      other.readFaces(ONE),
      other.readPair(ONE, TWO),
      other.compare(...read),
      other.similarity(read[0].embedding!, read[1].embedding!),
      other.verify(ONE, TWO),
    ];
    let ended = 0;
    for (const call of calls) void call.then(() => ended++);
    const closing = other.close();
    const refused = { code: "CONFIG_INVALID", message: "the model opencv-sface is closed" };
    await expect(other.verify(ONE, TWO)).rejects.toMatchObject(refused);
    await expect(other.similarity(read[0].embedding!, read[1].embedding!)).rejects.toMatchObject(refused);
    await closing;
    expect(ended).toBe(calls.length);
    expect(await calls.at(-1)).toEqual(await calls[6]);
  });

  it("answers no more once it was stopped while its model was loaded", async () => {
    const stop = new AbortController();
    const loading = loadFaceModel(undefined, { signal: stop.signal });
    stop.abort();
    await expect(loading).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("decides by an exported model whose photographs are LFW's", async () => {
    const { status, stdout } = await faceid(["verify", ONE, TWO, "--json", "--model", SHIPPED_MODEL]);
    expect(answerOf(stdout)).toMatchObject({ same: true, model: SHIPPED_MODEL });
    expect(answerOf(stdout).similarity).toBeGreaterThan(answerOf(stdout).threshold);
    expect(status).toBe(0);
  });

  it("decides in 8-bit integers by thresholds of their own, and says so", async () => {
    const same = answerOf((await faceid(["verify", ONE, TWO, "--json", "--precision", "int8"])).stdout);
    const other = answerOf((await faceid(["verify", ONE, OTHER, "--json", "--precision", "int8"])).stdout);
    expect(same).toMatchObject({ same: true, model: "opencv-sface-int8" });
    expect(other).toMatchObject({ same: false, model: "opencv-sface-int8" });
    const float = answerOf((await faceid(["verify", ONE, TWO, "--json"])).stdout);
    expect(Math.abs(float.similarity - same.similarity)).toBeLessThan(0.1);
    expect(float.threshold).not.toBe(same.threshold);
    const refused = await faceid(["verify", ONE, TWO, "--model", SHIPPED_MODEL, "--precision", "int8"]);
    expect(refused.stderr).toContain("faceid quantize");
    expect(refused.status).toBe(2);
    const unpacked = await faceid(["serve", "--model_base_path", work, "--pack_precision", "int8"]);
    expect(unpacked.stderr).toContain(
      "--pack_precision int8 says how a model pack of the server finds and embeds faces, and --pack is not given",
    );
    expect(unpacked.stderr).toContain("add --pack opencv-sface, or leave --pack_precision out");
    expect(unpacked.status).toBe(2);
  });

  it("has a fast profile, in floats and in 8 bits, with thresholds of its own", async () => {
    const thresholds = new Set<number>();
    for (const [flags, model] of [
      [["--profile", "fast"], "opencv-sface-fast"],
      [["--profile", "fast", "--precision", "int8"], "opencv-sface-int8-fast"],
      [["--profile", "fast", "--model", "opencv-sface-int8"], "opencv-sface-int8-fast"],
      [["--model", "opencv-sface-int8-fast"], "opencv-sface-int8-fast"],
    ] as const) {
      const same = answerOf((await faceid(["verify", ONE, TWO, "--json", ...flags])).stdout);
      const other = answerOf((await faceid(["verify", ONE, OTHER, "--json", ...flags])).stdout);
      expect(same).toMatchObject({ same: true, model });
      expect(other).toMatchObject({ same: false, model });
      thresholds.add(same.threshold);
    }
    expect(thresholds.size).toBe(2);
    const listed = await faceid(["faces", ONE, "--json", "--profile", "fast"]);
    expect(JSON.parse(listed.stdout).photographs[0].faces).toHaveLength(1);
    const refused = await faceid(["verify", ONE, TWO, "--model", SHIPPED_MODEL, "--profile", "fast"]);
    expect(refused.stderr).toContain("profile fast is for model packs");
    expect(refused.status).toBe(2);
    const unpacked = await faceid(["serve", "--model_base_path", work, "--pack_profile", "fast"]);
    expect(unpacked.stderr).toContain(
      "--pack_profile fast says how a model pack of the server finds and embeds faces, and --pack is not given",
    );
    expect(unpacked.status).toBe(2);
    const unknown = await faceid(["serve", "--pack", "opencv-sface", "--pack_profile", "quick"]);
    expect(unknown.stderr).toContain('--pack_profile: got "quick", expected standard or fast');
    expect(unknown.status).toBe(2);
  });

  it("takes a pack in 8-bit integers wherever it takes a pack", async () => {
    const listed = await faceid(["faces", ONE, "--json", "--precision", "int8"]);
    expect(JSON.parse(listed.stdout).photographs[0].faces).toHaveLength(1);
    const folder = join(work, "eight bits");
    mkdirSync(folder, { recursive: true });
    copyFileSync(ONE, join(folder, "one.jpg"));
    const output = join(work, "eight-bits.jsonl");
    const embedded = await faceid(["embed", folder, "--output", output, "--model", "opencv-sface-int8"]);
    expect(embedded.stdout).toContain("1 embedding:");
    expect(readFileSync(output, "utf8")).toContain("opencv-sface-int8");
    const model = await loadFaceModel("opencv-sface-int8", {});
    expect(readFileSync(output, "utf8")).toContain(model.digest);
    await model.close();
  });

  it("finds a person in a folder, and keeps what could not be compared apart", async () => {
    const folder = join(work, "many");
    mkdirSync(join(folder, "more"), { recursive: true });
    symlinkSync(OTHER, join(folder, "other.jpg"));
    symlinkSync(TWO, join(folder, "more", "two.jpg"));
    symlinkSync(blank, join(folder, "blank.png"));
    const { status, stdout } = await faceid(["verify", ONE, folder, "--json"]);
    const { candidates } = JSON.parse(stdout) as { candidates: { image: string }[] };
    expect(candidates).toMatchObject([
      { image: join(folder, "more", "two.jpg"), same: true },
      { image: join(folder, "other.jpg"), same: false },
      { image: join(folder, "blank.png"), error: { code: "FACE_NOT_FOUND" } },
    ]);
    expect(status).toBe(0);
    const turned = await faceid(["verify", folder, ONE]);
    expect(turned.stderr).toContain(`${folder} is a folder, a photograph is wanted`);
    expect(turned.status).toBe(2);
    const gone = join(folder, "gone.jpg");
    symlinkSync("nowhere.jpg", gone);
    const { stdout: three } = await faceid(["verify", ONE, folder, "--json"]);
    expect(JSON.parse(three).candidates).toContainEqual({
      image: gone,
      error: expect.objectContaining({
        code: "IMAGE_UNREADABLE",
        message: `cannot read ${gone}: it is a link that leads nowhere`,
      }),
    });
    rmSync(gone);
    // Not 1: the blank picture was not found to show somebody else.
    expect((await faceid(["verify", OTHER, join(folder, "more")])).status).toBe(1);
    expect((await faceid(["verify", photo("Aaron_Eckhart", 1), folder])).status).toBe(11);
  });

  it("names the files of a folder that are not read, and goes on without them", async () => {
    const folder = join(work, "mixed");
    mkdirSync(folder);
    copyFileSync(TWO, join(folder, "two.jpg"));
    for (const name of ["clip.mp4", "raw.NEF"]) writeFileSync(join(folder, name), "x");
    const [clip, raw] = [
      "clip.mp4 is a video, which is not read; save frames as JPEG",
      "raw.NEF is a raw file of a camera, which cannot be decoded; develop it to JPEG",
    ];
    const listed = [
      { path: "clip.mp4", code: "IMAGE_UNREADABLE", reason: clip },
      { path: "raw.NEF", code: "IMAGE_UNREADABLE", reason: raw },
    ];
    const errors = [clip, raw].map((reason) => ({
      image: join(folder, reason!.split(" ")[0]!),
      error: { code: "IMAGE_UNREADABLE", message: join(folder, reason!) },
    }));
    const csv = [
      "path,code,reason",
      ...listed.map(({ path, code, reason }) => `${path},${code},"${reason}"`),
    ];
    const said = `left out: 0 photographs without the face, 2 unreadable files; listed in`;
    const crops = join(work, "mixed-crops");
    const gallery = join(work, "mixed-gallery");
    const jobs = [
      [["embed", folder, "--output", join(work, "mixed.jsonl")], join(work, "mixed.left-out.csv")],
      [["crop", folder, "--output", crops], join(crops, "left-out.csv")],
    ] as const;
    for (const [command, list] of jobs) {
      const { status, stdout } = await faceid(command);
      expect(stdout).toContain(`\n${said} ${list}\n  ${clip}\n  ${raw}`);
      expect(readFileSync(list, "utf8").trimEnd().split("\n")).toEqual(csv);
      expect(status).toBe(0);
    }
    expect(JSON.parse((await faceid(["cluster", folder, "--json"])).stdout).leftOut).toEqual(listed);
    const verified = await faceid(["verify", OTHER, folder]);
    expect(verified.stdout).toContain(`\nwarning: left out: ${clip}\nwarning: left out: ${raw}\n`);
    expect(verified.status).toBe(1);
    await faceid(["gallery", "add", "Aaron", ONE, "--gallery", gallery]);
    for (const command of [["faces"], ["gallery", "identify", "--gallery", gallery]]) {
      const { status, stdout } = await faceid([...command, folder, "--json"]);
      expect(JSON.parse(stdout).photographs.slice(1)).toEqual(errors);
      expect(status).toBe(0);
    }
  });

  it("does not compare a photograph with itself where it lies in the folder", async () => {
    const folder = join(work, "with itself");
    mkdirSync(folder);
    copyFileSync(ONE, join(folder, "one.jpg"));
    const alone = await faceid(["verify", join(folder, "one.jpg"), folder]);
    expect(alone.stderr).toContain(`no photographs in ${folder} but ${join(folder, "one.jpg")} itself`);
    expect(alone.status).toBe(3);
    symlinkSync(OTHER, join(folder, "other.jpg"));
    const { status, stdout } = await faceid(["verify", join(folder, "one.jpg"), folder, "--json"]);
    expect(JSON.parse(stdout).candidates).toMatchObject([{ image: join(folder, "other.jpg"), same: false }]);
    expect(status).toBe(1);
  });

  it("says which face of several was compared, and compares the one of a number", async () => {
    const group = join(work, "group.png");
    const sides = await Promise.all([OTHER, TWO].map((path) => decodePixels(path)));
    const data = new Uint8Array(500 * 250 * 3);
    for (const [i, { data: side }] of sides.entries()) {
      for (let y = 0; y < 250; y++) data.set(side.subarray(y * 750, (y + 1) * 750), y * 1500 + i * 750);
    }
    writeFileSync(group, await encodePng(data, 500, 250));
    const listed = await model.faces(group);
    expect(listed).toHaveLength(2);
    const right = listed[0]!.box[0] > 250 ? 1 : 2;
    const { stdout } = await faceid(["verify", ONE, group]);
    expect(stdout).toMatch(/^faces compared {5}1 of 1 in the first photograph, [12] of 2 in the second$/m);
    expect(stdout).toMatch(
      /^warning: second photograph: 2 faces of about the same size were found; only face [12] of 2, the largest, was taken\n {2}.*faces .*group\.png lists and numbers them; --face N/m,
    );
    const folder = join(work, "of several");
    mkdirSync(folder);
    symlinkSync(group, join(folder, "group.png"));
    // The person's face is not the largest.
    const all = await faceid(["verify", ONE, folder]);
    expect(all.stdout).toMatch(
      new RegExp(`^same person +0\\.\\d{3} .*group\\.png {2}\\(face ${right} of 2\\)\n`),
    );
    expect(all.stdout).toMatch(/^faces compared {5}2 in 1 photograph$/m);
    expect(all.stdout).toMatch(/^false accept rate .* for each face compared$/m);
    expect(all.stdout).not.toMatch(/^(note|warning)/m);
    expect(all.status).toBe(0);
    const listedAll = JSON.parse((await faceid(["verify", ONE, folder, "--json"])).stdout);
    expect(listedAll).toMatchObject({
      candidates: [{ same: true, compared: 2, faces: [{ number: 1 }, { number: right, found: 2 }] }],
      compared: 2,
    });
    expect((await faceid(["verify", ONE, folder, "--far", "0.1"])).stdout).toContain(
      "note: if all 2 were strangers, about 0.2 would be accepted",
    );
    // With strict only faces within the limits are read.
    const distances = listed.map(({ quality }) => quality.eyeDistance);
    const limits = { minEyeDistance: (distances[0]! + distances[1]!) / 2 };
    const [fit, ...rest] = await model.readFaces(group, { strict: true, limits });
    expect([fit!.number, rest]).toEqual([distances[0]! > distances[1]! ? 1 : 2, []]);
    await expect(
      model.readFaces(group, { strict: true, limits: { minEyeDistance: 1000 } }),
    ).rejects.toMatchObject({
      code: "FACE_UNFIT",
      image: group,
    });
    expect(await model.readFaces(group, { limits })).toHaveLength(2);
    // A second choice takes one face of each.
    const one = await faceid(["verify", ONE, folder, "--face", `1,${3 - right}`]);
    expect(one.stdout).toContain(`(face ${3 - right} of 2)`);
    expect(one.stdout).toContain("warning: 1 photograph with faces that --face or --strict left out");
    expect(one.status).toBe(1);
    const first = await faceid(["verify", group, folder, "--face", String(right)]);
    expect(first.stderr).toContain("no photographs in");
    symlinkSync(TWO, join(folder, "two.png"));
    const numbered = JSON.parse(
      (await faceid(["verify", group, folder, "--face", String(right), "--json"])).stdout,
    );
    expect(numbered).toMatchObject({ candidates: [{ same: true }], compared: 1 });
    const at = async (face: string) => await faceid(["verify", ONE, group, "--json", "--face", face]);
    const same = await at(`1,${right}`);
    expect(JSON.parse(same.stdout)).toMatchObject({
      same: true,
      faces: [
        { number: 1, found: 1 },
        { number: right, found: 2, warnings: [] },
      ],
    });
    expect(JSON.parse((await at(`largest,${3 - right}`)).stdout)).toMatchObject({ same: false });
    const none = await at("1,3");
    expect(JSON.parse(none.stdout)).toEqual({
      error: {
        code: "FACE_NOT_FOUND",
        message: `there is no face 3 in ${group}: 2 faces were found`,
        image: group,
      },
    });
    for (const wrong of ["0", "1,2,3", "1.5", ""]) {
      expect(JSON.parse((await at(wrong)).stdout).error.message).toMatch(/^--face: got .*expected largest/);
    }
    expect((await model.verify(ONE, group, { face: [1, right] })).same).toBe(true);
    await expect(model.verify(ONE, group, { face: [1, 2, 3] } as object)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("lists faces as text, CSV and JSON, and draws them", async () => {
    const pictures = join(work, "drawn");
    const { status, stdout } = await faceid(["faces", ONE, blank, "--json", "--show", pictures]);
    const { photographs } = JSON.parse(stdout) as { photographs: { faces: unknown[] }[] };
    expect(photographs).toMatchObject([
      { image: ONE, width: 250, height: 250 },
      { image: blank, width: 300, height: 200, faces: [] },
    ]);
    expect(photographs[0]!.faces.length).toBeGreaterThan(0);
    expect(status).toBe(0);
    expect(existsSync(join(pictures, "blank.png.png"))).toBe(true);
    const csv = (await faceid(["faces", ONE, "--csv"])).stdout.trimEnd().split("\n");
    expect(csv).toHaveLength(1 + photographs[0]!.faces.length);
    expect(csv[1]!.split(",")).toHaveLength(csv[0]!.split(",").length);
    expect((await faceid(["faces", ONE])).stdout).toContain("250x250 pixels, 1 face");
    // Text says where the pictures are; nothing is drawn of what cannot be read.
    const said = async (...args: string[]) => (await faceid(["faces", ...args])).stdout;
    expect(await said(ONE, blank, "--show", pictures)).toMatch(`\nwrote 2 pictures to ${pictures}\n`);
    const picture = join(pictures, "one.png");
    expect(await said(ONE, "--show", picture)).toMatch(`\nwrote ${picture}\n`);
    const folder = join(work, "one-photograph");
    mkdirSync(folder);
    copyFileSync(ONE, join(folder, "one.jpg"));
    expect(await said(folder, "--show", pictures)).toMatch(`\nwrote 1 picture to ${pictures}\n`);
    expect(await said(join(work, "missing.jpg"), "--show", picture)).not.toContain("wrote");
    expect(await said(ONE, "--csv", "--show", picture)).not.toContain("wrote");
    // Its roll is -0.25 degrees.
    expect((await faceid(["faces", photo("Aaron_Peirsol", 4)])).stdout).toMatch(/ roll 0$/m);
    const unreadable = await faceid(["faces", join(work, "missing.jpg")]);
    expect(unreadable.stdout).toMatch(/^cannot read [^:]*missing\.jpg: no such file/);
    expect(unreadable.status).toBe(3);
  });

  it("answers by library as by command", async () => {
    const { similarity, same, faces } = await model.verify(ONE, readFileSync(TWO));
    const printed = answerOf((await faceid(["verify", ONE, TWO, "--json"])).stdout);
    expect({ similarity, same }).toEqual({ similarity: printed.similarity, same: printed.same });
    expect(JSON.parse(JSON.stringify(faces))).toEqual(printed.faces);
    expect(await model.faces(ONE)).toHaveLength(1);
    const { embedding, count } = await model.embed(ONE);
    expect([embedding.length, count]).toEqual([128, 1]);
    await expect(model.embed(readFileSync(blank))).rejects.toMatchObject({
      code: "FACE_NOT_FOUND",
      image: "the photograph",
    });
  });
});
