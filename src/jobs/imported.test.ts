/** @file An embedding network from elsewhere, from its ONNX file on: convert, verify, calibrate, evaluate, quantize, plot. */
import { readdirSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { onnxFile } from "../../test/support/onnx-file.ts";
import { ONNX_NETWORKS } from "../../test/support/onnx-networks.ts";
import { plain, temporaryFolder } from "../../test/support/photos.ts";
import { readDescription } from "../artifact/description.ts";
import { COMPARE, EMBED, PAIR, VERIFY_ENCODED } from "../artifact/signatures.ts";
import { type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32, floats, sizeOf } from "../base/tensor.ts";
import { encodePng } from "../image/decode.ts";
import { COSINE_ODDS } from "../model/imported-network.ts";
import { plotSvg } from "../model/plot.ts";
import { summaryText } from "../model/summary.ts";
import { openRuntime } from "../onnx/runtime/runtime.ts";
import { loadFaceModel } from "../verify/load-face-model.ts";
import { calibrateModel } from "./calibrate.ts";
import { convertModel } from "./convert.ts";
import { describeModel } from "./describe.ts";
import { evaluate } from "./evaluate.ts";
import { pixelFormat } from "./import-network.ts";
import { quantizeModel } from "./quantize.ts";
import { loadSignatures } from "./signature-model.ts";

const work = await temporaryFolder();
const file = join(work, "embedding.onnx");
const people = join(work, "people");
const folder = join(work, "mine/1");
const SIDE = 96;
const PIXELS = "bgr,-1..1";
const random = new Random(1);
const weights = (...shape: number[]) =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(-0.5, 0.5)),
  );

/** Two convolutions, an average over all positions, a dense layer: for one image at a time, as exporters write it. */
const network = onnxFile({
  opset: 13,
  inputs: { data: { shape: [1, 3, SIDE, SIDE] } },
  stored: {
    first: weights(8, 3, 3, 3),
    second: weights(8, 8, 3, 3),
    dense: weights(8, 6),
    bias: weights(6),
  },
  nodes: [
    { op: "Conv", inputs: ["data", "first"], outputs: ["a"], attributes: { strides: [4, 4] } },
    { op: "Relu", inputs: ["a"], outputs: ["b"] },
    { op: "Conv", inputs: ["b", "second"], outputs: ["c"], attributes: { strides: [2, 2] } },
    { op: "GlobalAveragePool", inputs: ["c"], outputs: ["d"] },
    { op: "Flatten", inputs: ["d"], outputs: ["e"] },
    { op: "Gemm", inputs: ["e", "dense", "bias"], outputs: ["y"] },
  ],
});

/** People of one colour each, lighter downwards, in photographs of different noise. */
async function writePeople(): Promise<void> {
  for (let person = 0; person < 6; person++) {
    const colour = [40 * person, 255 - 40 * person, (90 * person) % 256] as const;
    for (let photo = 0; photo < 4; photo++) {
      const path = join(people, `person${person}`, `${photo}.png`);
      await mkdir(dirname(path), { recursive: true });
      const noisy = plain(SIDE, colour).map((value, i, { length }) =>
        Math.round(0.75 * value + (38 * i) / length + random.between(0, 25)),
      );
      await writeFile(path, await encodePng(noisy, SIDE, SIDE));
    }
  }
}

beforeAll(async () => {
  writeFileSync(file, network);
  await writePeople();
});

const convert = (options: Parameters<typeof convertModel>[1]) =>
  convertModel(file, { savedModel: join(work, "refused/1"), ...options });

/** Images `[2, side, side, 3]` in [0, 1], and as the network reads them: blue first, −1 to 1, channels second. */
function images() {
  const values = Float32Array.from({ length: 2 * SIDE * SIDE * 3 }, () => random.between(0, 1));
  const read = new Float32Array(values.length);
  for (let image = 0; image < 2; image++)
    for (let at = 0; at < SIDE * SIDE; at++)
      for (let channel = 0; channel < 3; channel++)
        read[(image * 3 + channel) * SIDE * SIDE + at] =
          2 * values[(image * SIDE * SIDE + at) * 3 + 2 - channel]! - 1;
  return { own: float32([2, SIDE, SIDE, 3], values), read };
}

const cosine = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b));

describe("a network from elsewhere with its framing", () => {
  it("gives the file's own embeddings under the four signatures, and describes itself", async () => {
    const lines: string[] = [];
    const log: Log = { ...silentLog, info: (message) => void lines.push(message) };
    await convertModel(file, { savedModel: folder, framing: "none", pixels: PIXELS, log });
    expect(lines.join()).toContain("no calibration record yet: faceid calibrate");
    expect(await readDescription(folder)).toMatchObject({
      name: "mine",
      version: 1,
      network: "imported",
      framing: { kind: "none" },
      imported: { file: "embedding.onnx", pixels: PIXELS },
      image: { height: SIDE, width: SIDE },
    });
    await using model = await loadSignatures(folder);
    expect([...model.signatures.keys()].toSorted()).toEqual(
      [PAIR, EMBED, COMPARE, VERIFY_ENCODED].map(({ signature }) => signature).toSorted(),
    );
    const { own, read } = images();
    const embedded = await model.run(EMBED.signature, new Map([[EMBED.image, own]]));
    const ours = floats(embedded.get(EMBED.embedding)!);
    const session = await openRuntime(network);
    const size = ours.length / 2;
    const rows = await Promise.all(
      [0, 1].map(async (row) => {
        const one = read.subarray(row * 3 * SIDE * SIDE, (row + 1) * 3 * SIDE * SIDE);
        const outputs = await session.run(new Map([["data", float32([1, 3, SIDE, SIDE], one)]]));
        return floats([...outputs.values()][0]!);
      }),
    );
    for (const [row, theirs] of rows.entries())
      expect(ours.subarray(row * size, (row + 1) * size)).toBeAllClose(
        theirs.map((value) => value / Math.hypot(...theirs)),
        { absolute: 1e-5 },
      );
    const left = float32([1, size], ours.subarray(0, size));
    const right = float32([1, size], ours.subarray(size));
    const compared = await model.run(
      COMPARE.signature,
      new Map([
        [COMPARE.anchor, left],
        [COMPARE.verification, right],
      ]),
    );
    const odds = COSINE_ODDS.slope * cosine(rows[0]!, rows[1]!) + COSINE_ODDS.offset;
    expect(floats(compared.get(COMPARE.classifier)!)[0]).toBeCloseTo(1 / (1 + Math.exp(-odds)), 5);
  });

  it("decides after it was calibrated, and says so before", async () => {
    const photos = [0, 1].map((photo) => join(people, "person0", `${photo}.png`)) as [string, string];
    await using before = await loadFaceModel(folder, { detect: false });
    await expect(before.verify(...photos)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      hint: expect.stringContaining("faceid calibrate"),
    });
    const data = { datasetPath: people };
    const { output, calibration } = await calibrateModel(folder, { data, fars: [0.1] });
    expect(output).toBe(join(work, "mine/2"));
    await using after = await loadFaceModel(output, { detect: false });
    const answer = await after.verify(...photos);
    expect(answer.threshold).toBeCloseTo(calibration.operatingPoints[0]!.threshold, 5);
    expect(answer.same).toBe(answer.similarity >= answer.threshold);
    const { report } = await evaluate(output, { data });
    expect(report.people?.heldOut).toBe(false);
  });

  it("is described and drawn", async () => {
    const described = await describeModel(folder);
    const stored = 8 * 27 + 8 * 72 + 8 * 6 + 6;
    expect((await describeModel(file)).total).toBe(stored);
    // The range of the colours became part of the first kernel, and its bias.
    expect(described.total).toBe(stored + 8);
    const kinds = described.layers.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "Conv2D")).toHaveLength(2);
    expect(described.layers[0]).toMatchObject({ name: EMBED.image, outputShape: [null, SIDE, SIDE, 3] });
    expect(described.layers.at(-1)?.outputShape).toEqual([null, 6]);
    expect(summaryText(described)).toContain("Non-trainable params: 854");
    const svg = plotSvg(described);
    expect(svg.match(/Conv2D/g)?.length).toBe(2);
  });

  it("is written in 8 bits, calibrated in them, and compares photographs without embeddings", async () => {
    const output = join(work, "mine8/1");
    const report = await quantizeModel({ savedModel: folder, images: people, output, count: 8 });
    expect(report.convolutions).toBeGreaterThan(0);
    expect(report.difference!.mean).toBeLessThan(0.1);
    expect((await readDescription(output))?.imported?.pixels).toBe(PIXELS);
    const data = { datasetPath: people };
    const { output: measured } = await calibrateModel(output, { data, fars: [0.1] });
    expect(measured).toBe(join(work, "mine8/2"));
    await using model = await loadFaceModel(measured, { detect: false });
    const photo = join(people, readdirSync(people)[0]!);
    const [first, second] = readdirSync(photo).map((name) => join(photo, name));
    const { same, similarity } = await model.verify(first!, second!, { far: 0.1 });
    expect(same).toBe(similarity >= model.decide(0, 0.1).threshold);
    expect((await model.verify(first!, first!, { far: 0.1 })).same).toBe(true);
    await expect(model.embed(first!)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      hint: "use the SavedModel that it was made from",
    });
    const { report: inIntegers } = await evaluate(measured, { data });
    expect(inIntegers.people?.heldOut).toBe(false);
  });

  it.each([
    [{ framing: "none" }, "CONFIG_INVALID", "--pixels rgb,-1..1"],
    [{ pixels: PIXELS }, "CONFIG_INVALID", "--framing aligned, lfw, centred or none"],
    [{ framing: "none", pixels: "hsv,0..1" }, "CONFIG_INVALID", "--pixels rgb,-1..1"],
    [{ framing: "none", pixels: PIXELS, embedding: "z" }, "CONFIG_INVALID", "--embedding NAME: y"],
    [{ framing: "none", pixels: PIXELS, imageShape: [99, 99] }, "CONFIG_INVALID", "leave it out"],
    [
      { framing: "aligned", pixels: PIXELS, savedModel: undefined, onnx: "x.onnx" },
      "CONFIG_INVALID",
      "--saved-model",
    ],
  ] as const)("refuses %j", async (options, code, hint) => {
    await expect(convert(options)).rejects.toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  it("refuses images of a size that no photograph is prepared for", async () => {
    const small = join(work, "small.onnx");
    writeFileSync(small, onnxFile(ONNX_NETWORKS.embedding));
    const written = convertModel(small, {
      savedModel: join(work, "s/1"),
      framing: "aligned",
      pixels: PIXELS,
    });
    await expect(written).rejects.toThrow("an image side of 12 pixels is not supported");
  });
});

describe("the colours that a network reads", () => {
  it.each([
    ["rgb,0..255", "rgb", [[0, 255]]],
    ["BGR -1..1", "bgr", [[-1, 1]]],
    [
      "rgb,-2.1..2.2/-2..2.4/-1.8..2.6",
      "rgb",
      [
        [-2.1, 2.2],
        [-2, 2.4],
        [-1.8, 2.6],
      ],
    ],
  ] as const)("%s", (text, order, ranges) => {
    expect(pixelFormat(text)).toEqual({ order, ranges });
  });

  it.each(["", "rgb", "rgb,1", "rgb,0..0", "rgb,0..1/0..1", "grey,0..1", "rgb,0..1,2"])("not %j", (text) => {
    expect(() => pixelFormat(text)).toThrow("expected an order and a range of colours");
  });
});
