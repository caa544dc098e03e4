/** @file An exported verifier in 8-bit integers: written as a version, loaded by the server's own loader, close in its scores. */
import { existsSync, statSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { CalibrationRecord } from "../src/artifact/calibration.ts";
import { bytesText, silentLog } from "../src/base/log.ts";
import { Random } from "../src/base/random.ts";
import { float32, floats, type TensorMap } from "../src/base/tensor.ts";
import { run } from "../src/cli/main.ts";
import * as g from "../src/graph/build.ts";
import { decodePixels, encodePng } from "../src/image/decode.ts";
import { calibrationImages } from "../src/jobs/calibration-images.ts";
import { describeModel } from "../src/jobs/describe.ts";
import { evaluate } from "../src/jobs/evaluate.ts";
import { type QuantizeReport, quantizeModel } from "../src/jobs/quantize.ts";
import { summaryText } from "../src/model/summary.ts";
import { lower } from "../src/onnx/lower/lower.ts";
import { readOnnxFile } from "../src/onnx/runtime/model-file.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { loadModel } from "../src/verify/face-model.ts";
import { loadFaceModel } from "../src/verify/load-face-model.ts";
import { writeFaceModel } from "./support/face-model.ts";
import { temporaryFolder } from "./support/photos.ts";

const SIDE = 112;
const CALIBRATION: CalibrationRecord = {
  threshold: 0.51,
  measuredFar: { value: 0.2, interval: [0.01, 0.7] },
  measuredTar: { value: 0.8, interval: [0.3, 0.99] },
  operatingPoints: [],
  data: { dataset: "drawn", people: "10 validation people", positives: 5, negatives: 5 },
};

/** The record of a version whose weights are smaller than those that were measured. */
const KEPT = { ...CALIBRATION, weights: "float32" };

const bytes = (image: Float32Array) => new Uint8Array(image.buffer, image.byteOffset, image.byteLength);

/** What the command prints on standard output, called by npx. */
async function printed(...args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const spy = vi.spyOn(console, "log").mockImplementation((line: string) => lines.push(line));
  vi.stubEnv("npm_command", "exec");
  const before = process.exitCode;
  try {
    await run(["node", "faceid", ...args]);
  } finally {
    process.exitCode = before;
    spy.mockRestore();
    vi.unstubAllEnvs();
  }
  return `${lines.join("\n")}\n`;
}

/** Photographs of nobody: colours that become lighter downwards, with noise, two for each of the names. */
async function writeNoise(root: string, names = ["a", "b", "c", "d"], seed = 5): Promise<void> {
  const random = new Random(seed);
  for (const name of names) {
    await mkdir(join(root, name), { recursive: true });
    for (const file of ["0.png", "1.png"]) {
      const tones = [0, 1, 2].map(() => random.integer(140));
      const pixels = Uint8Array.from(
        { length: SIDE * SIDE * 3 },
        (_, i) => tones[i % 3]! + Math.floor((60 * i) / (SIDE * SIDE * 3)) + random.integer(56),
      );
      await writeFile(join(root, name, file), await encodePng(pixels, SIDE, SIDE));
    }
  }
}

it("is written beside its description, served with the same contract, and scores as before", async () => {
  const root = await temporaryFolder();
  const [source, target, images] = [join(root, "faceid/1"), join(root, "int8/1"), join(root, "images")];
  const evaluation = { accuracy: 0.9 };
  const description = { calibration: CALIBRATION, evaluation };
  await writeFaceModel(source, { network: "faceid", side: SIDE, description });
  await writeNoise(images);
  const report = await quantizeModel({ savedModel: source, images, output: target, count: 4 });
  expect(report).toMatchObject({ convolutions: 26, calibrationImages: 4, pairs: 3, threshold: 0.51 });
  expect(report).toMatchObject({ faces: "none", calibratedWith: "float32" });
  expect(report.difference!.greatest).toBeLessThan(0.02);

  // The summary gives the size of the file, not that of as many floats.
  const described = await describeModel(target);
  expect(described.file).toEqual({ name: "model.onnx", bytes: report.bytes.written });
  expect(summaryText(described)).toMatch(/^Total params: 1,711,169$[\s\S]*^Size of model\.onnx: 3\.\d MB$/m);

  const { model } = await readOnnxFile(join(target, "model.onnx"));
  // Of each side, the first convolution has one before it that gathers the rows of its long windows.
  expect(model.operations.get("QLinearConv")).toBe(28);
  // One way into integers and one out of them for each side of the pair: nothing in between goes back to floats.
  expect(model.operations.get("QuantizeLinear")).toBe(2);
  expect(model.operations.get("DequantizeLinear")).toBe(2);

  const load = savedModelLoader({ sessions: 1 });
  const [before, after] = [
    await load(source, { name: "faceid", version: 1n }),
    await load(target, { name: "int8", version: 1n }),
  ];
  // What was measured was measured with the floats, and says so.
  expect(after.description).toEqual({
    ...before.description,
    calibration: KEPT,
    evaluation: { weights: "float32", ...evaluation },
  });
  const sides = (servable: typeof before) => {
    const { inputs, outputs } = servable.signatures.get("serving_default")!;
    return [...inputs, ...outputs].map(([alias, { dtype, shape }]) => ({ alias, dtype, shape }));
  };
  expect(sides(after)).toEqual(sides(before));
  const random = new Random(9);
  const image = () =>
    float32(
      [3, SIDE, SIDE, 3],
      Float32Array.from({ length: 3 * SIDE * SIDE * 3 }, () => random.uniform()),
    );
  const inputs: TensorMap = new Map([
    ["anchor_img", image()],
    ["verification_img", image()],
  ]);
  const [expected, actual] = await Promise.all(
    [before, after].map(async (servable) =>
      floats((await servable.run("serving_default", inputs, ["classifier"])).get("classifier")!),
    ),
  );
  expect(actual!).toBeAllClose(expected!, { absolute: 0.02, relative: 0 });
  await Promise.all([before.close(), after.close()]);
});

it("is half as large with weights in half precision, with all signatures, and scores as before", async () => {
  const root = await temporaryFolder();
  const [source, target, images] = [join(root, "faceid/1"), join(root, "half/7"), join(root, "images")];
  await writeFaceModel(source, { network: "compact", side: SIDE, description: { calibration: CALIBRATION } });
  await writeNoise(images);
  const report = await quantizeModel({
    savedModel: source,
    images,
    output: target,
    count: 4,
    weights: "float16",
  });
  expect(report).toMatchObject({ weights: "float16", convolutions: 0, calibrationImages: 0, pairs: 3 });
  expect(report.bytes.written).toBeLessThan(0.6 * report.bytes.given);
  expect(report.difference!.greatest).toBeGreaterThan(0);
  expect(report.difference!.greatest).toBeLessThan(0.002);
  const load = savedModelLoader({ sessions: 1 });
  const [before, after] = [
    await load(source, { name: "faceid", version: 1n }),
    await load(target, { name: "half", version: 1n }),
  ];
  expect(after.description).toEqual({ ...before.description, version: 7, calibration: KEPT });
  expect([...after.signatures.keys()]).toEqual([...before.signatures.keys()]);
  await using model = await loadModel(target);
  await using float = await loadModel(source);
  const photographs = [join(images, "a/0.png"), join(images, "b/1.png")];
  const [expected, actual] = [await float.embed(photographs), await model.embed(photographs)];
  expect(actual.flatMap((each) => [...each])).toBeAllClose(
    expected.flatMap((each) => [...each]),
    { absolute: 1e-3, relative: 0 },
  );
  await Promise.all([before.close(), after.close()]);
});

it("prints the sizes of the file that was given and of the new one, and the command that measures its rates", async () => {
  const root = await temporaryFolder();
  const [source, half] = [join(root, "faceid/1"), join(root, "half/1")];
  await writeFaceModel(source, { network: "compact", side: 96, description: { calibration: CALIBRATION } });
  const text = await printed("quantize", source, "--output", half, "--weights", "float16");
  const [given, written] = [source, half].map((folder) => statSync(join(folder, "saved_model.pb")).size);
  expect(text).toContain(`size            ${bytesText(given!)} before, ${bytesText(written!)} now\n`);
  expect(text).toContain(
    `measured with the float32 version; npx faceid calibrate ${half} --dataset-path PEOPLE measures its own`,
  );
  // Of a version in half precision, that is its own size, not that of as many floats.
  const [images, int8] = [join(root, "images"), join(root, "int8/1")];
  await writeNoise(images);
  const options = ["--images", images, "--output", int8, "--count", "4"];
  expect(await printed("quantize", half, ...options)).toContain(
    `size            ${bytesText(written!)} before, `,
  );
});

it("needs no images for half precision, which measures nothing, and names them for 8 bits", async () => {
  const root = await temporaryFolder();
  const source = join(root, "faceid/1");
  await writeFaceModel(source, { network: "compact", side: 96 });
  const output = join(root, "half/1");
  const report = await quantizeModel({ savedModel: source, output, count: 4, weights: "float16" });
  expect(report).toMatchObject({ weights: "float16", pairs: 0, unreadable: 0 });
  expect(report).not.toHaveProperty("difference");
  await using model = await loadModel(output);
  expect(model.embeddingSize).toBeGreaterThan(0);
  const again = join(root, "half/2");
  await expect(
    quantizeModel({ savedModel: output, output: again, count: 4, weights: "float16" }),
  ).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `the weights of ${output} are in half precision already`,
    hint: expect.stringContaining("int8"),
  });
  expect(existsSync(again)).toBe(false);
  await expect(
    quantizeModel({ savedModel: source, output: join(root, "int8/1"), count: 4 }),
  ).rejects.toMatchObject({ code: "CONFIG_INVALID", hint: expect.stringContaining("--images") });
});

it("refuses a folder with too few images that show something, and says how to get them", async () => {
  const root = await temporaryFolder();
  const source = join(root, "faceid/1");
  await writeFaceModel(source, { network: "compact", side: 96 });
  const images = join(root, "images");
  await mkdir(images);
  const output = join(root, "int8/1");
  const quantized = (count: number) => quantizeModel({ savedModel: source, images, output, count });
  await expect(quantized(4)).rejects.toThrow("has 0 usable images, quantising takes at least 16");
  await writeNoise(images);
  for (const tone of [0, 80, 160, 255]) {
    const plane = await encodePng(new Uint8Array(SIDE * SIDE * 3).fill(tone), SIDE, SIDE);
    await writeFile(join(images, `a/plane-${tone}.png`), plane);
  }
  await writeFile(join(images, "b/broken.png"), "no picture");
  await expect(quantized(64)).rejects.toMatchObject({
    code: "DATASET_INVALID",
    message: `${images} has 8 usable images (1 cannot be read, 4 are of one colour), quantising takes at least 16`,
    hint: expect.stringMatching(/^add crops of faces .*faceid crop cuts faces out$/),
  });
  expect(existsSync(output)).toBe(false);
  await writeNoise(images, ["e", "f", "g", "h"], 6);
  const report = await quantized(64);
  expect(report).toMatchObject({ calibrationImages: 8, unreadable: 1, withoutFace: 0, oneColour: 4 });
});

it("takes copies of one image for one, names them, and replaces them by others", async () => {
  const folder = join(await temporaryFolder(), "images");
  await writeNoise(folder, ["p"]);
  const [first, second] = [join(folder, "p/0.png"), join(folder, "p/1.png")];
  const told: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void told.push(message) };
  const size = { height: SIDE, width: SIDE, channels: 3 } as const;
  const framing = () => {
    throw new Error("no face is cut out");
  };
  const drawn = (count: number) => calibrationImages({ folder, count, size, isFramed: false, framing, log });
  for (let i = 0; i < 19; i++) await copyFile(first, join(folder, `p/copy-${i}.png`));
  await expect(drawn(20)).rejects.toMatchObject({
    code: "DATASET_INVALID",
    message: `${folder} has 2 usable images (19 are copies of others), quantising takes at least 16`,
  });
  expect(told).toHaveLength(19);
  for (const line of told)
    expect(line).toMatch(/^\S+p\/\S+\.png is a copy of \S+p\/\S+\.png; it is left out$/);
  // The same pixels in a file of other bytes.
  const { data, width, height } = await decodePixels(second);
  await writeFile(
    join(folder, "p/again.ppm"),
    Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]),
  );
  const others = Array.from({ length: 10 }, (_, i) => `q${i}`);
  await writeNoise(folder, others, 6);
  const { images, leftOut } = await drawn(60);
  expect(images).toHaveLength(22);
  expect(leftOut).toEqual({ unreadable: 0, withoutFace: 0, oneColour: 0, copies: 20 });
  expect((await drawn(16)).images).toHaveLength(16);
});

it("replaces images that show nothing by others of the folder, the same ones in each run", async () => {
  const root = await temporaryFolder();
  const [folder, good] = [join(root, "images"), join(root, "good")];
  const names = Array.from({ length: 24 }, (_, i) => `p${String(i).padStart(2, "0")}`);
  await writeNoise(folder, names);
  await writeNoise(good, names);
  const plane = await encodePng(new Uint8Array(SIDE * SIDE * 3).fill(80), SIDE, SIDE);
  const junk = [Buffer.from("no picture"), plane];
  // Every second image: half of what is drawn first, whatever the stride.
  for (const [i, name] of names.entries()) await writeFile(join(folder, name, "0.png"), junk[i % 2]!);
  const [size, log] = [{ height: SIDE, width: SIDE, channels: 3 } as const, silentLog];
  const framing = () => {
    throw new Error("no face is cut out");
  };
  const drawn = (from: string, count: number) =>
    calibrationImages({ folder: from, count, size, isFramed: false, framing, log });
  const all = (await drawn(good, 48)).images.filter((_, i) => i % 2 === 1);
  expect(all).toHaveLength(24);
  const twenty = await drawn(folder, 20);
  expect(twenty.images).toHaveLength(20);
  expect(twenty.leftOut.unreadable).toBeGreaterThan(4);
  expect(twenty.leftOut.oneColour).toBeGreaterThan(4);
  // In the order of their paths, so that both halves of the quantisation are spread over the folder.
  const places = twenty.images.map((image) =>
    all.findIndex((each) => Buffer.compare(bytes(each), bytes(image)) === 0),
  );
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(await drawn(folder, 20)).toEqual(twenty);
  // Where the folder ends first, there are as many as it has.
  const most = await drawn(folder, 40);
  expect(most.images).toHaveLength(24);
  expect(most.leftOut).toEqual({ unreadable: 12, withoutFace: 0, oneColour: 12, copies: 0 });
});

it.each([
  ["a pack", {}, "opencv-sface", /^opencv-sface is a model pack/, /opencv-sface-int8/],
  ["no folder of images", {}, "faceid/1", /^there is no folder .*nope$/, /^check --images/],
  [
    "a pairs file that is none, before any other work",
    { accuracy: { pairsFile: "nope.txt" } },
    "faceid/1",
    /^cannot read the pairs file nope\.txt/,
    /^name a file in the form of LFW/,
  ],
])("refuses %s", async (_, options, model, message, hint) => {
  const root = await temporaryFolder();
  await writeFaceModel(join(root, "faceid/1"), { network: "compact", side: 96 });
  const savedModel = model === "opencv-sface" ? model : join(root, model);
  const output = join(root, "int8/1");
  const images = join(root, "nope");
  await expect(quantizeModel({ savedModel, images, output, count: 4, ...options })).rejects.toMatchObject({
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
  expect(existsSync(output)).toBe(false);
});

const FACES = {
  dataset: "synthetic",
  idTo: 29,
  imagesPerId: 4,
  validationFraction: 0.3,
  testFraction: 0.3,
} as const;

describe("the accuracy of 8 bits", () => {
  let [source, target, images] = ["", "", ""];
  let report: QuantizeReport;

  beforeAll(async () => {
    const root = await temporaryFolder();
    [source, target, images] = [join(root, "faceid/1"), join(root, "int8/1"), join(root, "images")];
    await writeFaceModel(source, {
      network: "faceid",
      side: SIDE,
      description: { calibration: CALIBRATION },
    });
    await writeNoise(images);
    const accuracy = { pairs: 40, data: FACES };
    report = await quantizeModel({ savedModel: source, images, output: target, count: 4, accuracy });
  }, 120_000);

  it("is what evaluate says of the model and of the version that was written", {
    timeout: 120_000,
  }, async () => {
    const options = { data: FACES, pairs: 40 };
    const [float, int8] = [await evaluate(source, options), await evaluate(target, options)];
    expect(float.report).toMatchObject({ pairs: 40, missing: 0 });
    expect(int8.scored.same).toEqual(float.scored.same);
    expect(int8.scored.scores).toBeAllClose(float.scored.scores, { absolute: 0.02, relative: 0 });
    expect(int8.scored.scores).not.toEqual(float.scored.scores);
    const { accuracy } = report;
    expect(accuracy!.pairs).toBe(40);
    expect(accuracy!.float.auc).toBeCloseTo(float.report.auc.value, 9);
    expect(accuracy!.written.auc).toBeCloseTo(int8.report.auc.value, 9);
    expect(accuracy!.written.eer).toBeCloseTo(int8.report.eer.value, 9);
    const right = int8.scored.scores.filter((score, i) => score >= 0.51 === (int8.scored.same[i] === 1));
    expect(accuracy!.written.accuracy).toBeCloseTo(right.length / 40, 9);
  });

  it("shows in a program too: the version verifies photographs, and says that it gives no embeddings", async () => {
    await using model = await loadModel(target);
    await using float = await loadModel(source);
    const [left, right] = [join(images, "a/0.png"), join(images, "b/1.png")];
    const answer = await model.verify(left, right);
    const expected = await float.verify(left, right);
    expect(Math.abs(answer.probability - expected.probability)).toBeLessThan(0.02);
    expect(answer).toMatchObject({ threshold: 0.51, same: answer.probability >= 0.51 });
    await expect(model.embed([left])).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });

  it("compares faces as faceid verify does, without embeddings", async () => {
    await using model = await loadFaceModel(target, { detect: false });
    await using float = await loadFaceModel(source, { detect: false });
    const [left, right] = [join(images, "a/0.png"), join(images, "b/1.png")];
    const answer = await model.verify(left, right);
    const expected = await float.verify(left, right);
    expect(Math.abs(answer.similarity - expected.similarity)).toBeLessThan(0.02);
    expect(answer.similarity).not.toBe(expected.similarity);
    expect(answer).toMatchObject({ threshold: expected.threshold, model: target });
    expect(answer.falseAcceptRate).toEqual({ ...expected.falseAcceptRate, weights: "float32" });
    expect(await printed("verify", left, images, "--model", target, "--no-detect")).toMatch(
      /^false accept rate .+\) for each picture compared, measured with the float32 version$/m,
    );
    // A photograph that is read once is compared with many.
    const read = await model.read(left);
    expect(await model.compare(read, await model.read(right))).toEqual(answer);
    expect(model.digest).not.toBe(float.digest);
    const refused = {
      code: "MODEL_UNSUPPORTED",
      message: `${target} compares images and gives no embeddings`,
    };
    await expect(model.embed(left)).rejects.toMatchObject(refused);
    await expect(model.embedFaces(left)).rejects.toMatchObject(refused);
    expect(() => model.dimensions).toThrow(expect.objectContaining(refused));
    await expect(model.similarity(new Float32Array(4), new Float32Array(4))).rejects.toMatchObject(refused);
    // Embeddings of another model may be of the same length, and mean something else.
    const foreign = { code: "CONFIG_INVALID", message: `compare: a photograph was not read by ${source}` };
    await expect(float.compare(read, read)).rejects.toMatchObject(foreign);
    await expect(model.compare(read, await float.read(left))).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("cannot be measured of an ONNX file that compares no images, which is said", async () => {
    const folder = await temporaryFolder();
    const x = g.input("x", ["batch", 3]);
    const { bytes } = lower({ outputs: { y: g.relu(x) } });
    await writeFile(join(folder, "model.onnx"), bytes);
    await expect(evaluate(folder, { data: FACES })).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      message: expect.stringContaining(
        "takes x float32 [-1,3] and gives y float32 [-1,3]; measuring takes two images",
      ),
    });
  });
});
