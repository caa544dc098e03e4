/** @file Whole photographs through the detector and the embedding of OpenCV's pack; skipped where its files are absent. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { picturesWithoutFaces } from "../../test/support/no-faces.ts";
import { drawnBackground, paste } from "../../test/support/scenes.ts";
import { turnedPhotograph } from "../../test/support/turned.ts";
import { Random } from "../base/random.ts";
import { float32, floats } from "../base/tensor.ts";
import { decodePixels, encodeJpeg, encodePng } from "../image/decode.ts";
import type { Pixels } from "../image/settings.ts";
import { lower } from "../onnx/lower/lower.ts";
import { readOnnx } from "../onnx/read/read.ts";
import { openRuntime } from "../onnx/runtime/runtime.ts";
import { chooseFace } from "./choose.ts";
import { cosineSimilarity } from "./cosine.ts";
import type { Detection, Landmarks, Point } from "./face.ts";
import { cropFace } from "./found-faces.ts";
import { openLowered } from "./lowered-cache.ts";
import { PRECISIONS } from "./mode.ts";
import type { OpenNetwork } from "./network.ts";
import { openEmbedder } from "./open-embedder.ts";
import { FacePipeline } from "./pipeline.ts";
import { Pyramid, sample } from "./pyramid.ts";
import { applySimilarity, similarityAbout } from "./similarity.ts";
import { YunetNetwork } from "./yunet-network.ts";

const SHARED = join(import.meta.dirname, "../../../shared");
const YUNET = join(SHARED, "models/opencv/face_detection_yunet_2023mar_int8bq.onnx");
const SFACE = join(SHARED, "models/opencv/face_recognition_sface_2021dec_int8bq.onnx");
const LFW = join(SHARED, "datasets/lfw");
const isThere = [YUNET, SFACE, LFW].every((path) => existsSync(path));
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const photo = (name: string, number: number) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);

/** Two photographs of one person, one of another. */
const ONE = photo("Aaron_Peirsol", 1);
const TWO = photo("Aaron_Peirsol", 2);
const OTHER = photo("Abba_Eban", 1);
const PEOPLE = ["Abdullah_Gul", "Abel_Pacheco", "Adam_Scott", "Adrien_Brody", "Ai_Sugiyama", "Aishwarya_Rai"]
  .map((name) => photo(name, 1))
  .filter((path) => isThere && existsSync(path));

const TURNED = (
  [
    ["Angel_Maza", 90],
    ["Angel_Maza", 180],
    ["Anthony_Lee_Johnson", 180],
    ["Bernard_Ebbers", 180],
    ["Carly_Fiorina", 45],
    ["Alanna_Ubach", 90],
  ] as const
).map(([name, angle]) => [photo(name, 1), angle] as const);

/** Between the same points of two faces, in distances between the eyes. */
function pointError(actual: Landmarks, expected: Landmarks): number {
  const eyes = Math.hypot(expected[0][0] - expected[1][0], expected[0][1] - expected[1][1]);
  const sum = actual.reduce(
    (total, [x, y], i) => total + Math.hypot(x - expected[i]![0], y - expected[i]![1]),
    0,
  );
  return sum / actual.length / eyes;
}

/** The detector's model as its session gets it. */
async function lowered(file: Uint8Array): Promise<Uint8Array> {
  let model: Uint8Array | undefined;
  await using _ = await YunetNetwork.open(file, (bytes) => {
    model = bytes;
    return openRuntime(bytes);
  });
  return model!;
}

const central = <F extends Detection>(faces: readonly F[], pixels: Pixels) =>
  chooseFace(faces, "central", pixels);

describe.skipIf(!isThere)(`photographs${note}`, () => {
  let pipeline: FacePipeline;
  beforeAll(async () => {
    pipeline = await FacePipeline.open({ detector: readFileSync(YUNET), embedding: readFileSync(SFACE) });
  });
  afterAll(() => pipeline?.close());

  it("has the best cell where numpy has it", async () => {
    await using network = await YunetNetwork.open(readFileSync(YUNET), openRuntime);
    const cells = await network.detect(await decodePixels(OTHER), 0.5);
    const best = cells.reduce((first, cell) => (cell.score > first.score ? cell : first));
    expect(cells).toHaveLength(10);
    expect(best.score).toBeCloseTo(0.93819, 3);
    const box = [69.089, 66.004, 94.914, 137.019];
    const points = [
      [96.287, 114.551],
      [145.186, 112.546],
      [124.085, 139.439],
      [103.305, 163.882],
      [145.34, 162.381],
    ];
    for (const [i, value] of box.entries()) expect(Math.abs(best.box[i]! - value)).toBeLessThan(0.2);
    for (const [i, [x, y]] of points.entries()) {
      expect(Math.abs(best.landmarks[i]![0] - x!)).toBeLessThan(0.2);
      expect(Math.abs(best.landmarks[i]![1] - y!)).toBeLessThan(0.2);
    }
  });

  it("tells one person from another, about as numpy does with one crop", async () => {
    const [one, two, other] = await Promise.all(
      [ONE, TWO, OTHER].map((path) => pipeline.embedPhotograph(path)),
    );
    expect(cosineSimilarity(one!.embedding, two!.embedding)).toBeGreaterThan(0.75);
    expect(cosineSimilarity(one!.embedding, other!.embedding)).toBeLessThan(0.2);
    expect(one!.warnings).toEqual([]);
  });

  it("gives the same bits alone, again, among others and with more threads", async () => {
    const alone = await pipeline.embedPhotograph(ONE);
    const [, among] = await Promise.all([OTHER, ONE, TWO].map((path) => pipeline.embedPhotograph(path)));
    expect(among).toEqual(alone);
    await using another = await FacePipeline.open(
      { detector: readFileSync(YUNET), embedding: readFileSync(SFACE) },
      { open: (model) => openRuntime(model, { threads: 3 }) },
    );
    expect(await another.embedPhotograph(ONE)).toEqual(alone);
  });

  it("hardly depends on the last bits of the detector, which differ between runtimes", async () => {
    const random = new Random(5);
    // Box and points of a cell are in its strides of up to 32 pixels, so that they move by up to 3e-5 pixels.
    const shaken: OpenNetwork = async (model) => {
      const session = await openRuntime(model);
      return {
        async run(inputs) {
          const outputs = [...(await session.run(inputs))].map(([name, tensor]) => {
            if (!/^(?:bbox|kps)_/.test(name)) return [name, tensor] as const;
            const data = floats(tensor).map((value) => value + random.between(-1e-6, 1e-6));
            return [name, float32(tensor.shape, data)] as const;
          });
          return new Map(outputs);
        },
        close: () => session.close(),
      };
    };
    await using other = await FacePipeline.open(
      { detector: readFileSync(YUNET), embedding: readFileSync(SFACE) },
      { open: shaken },
    );
    for (const path of [ONE, TWO, OTHER, ...PEOPLE]) {
      const { face, embedding } = await pipeline.embedPhotograph(path);
      const moved = await other.embedPhotograph(path);
      expect(moved.face.landmarks, path).not.toEqual(face.landmarks);
      const distance = Math.hypot(...embedding.map((value, i) => value - moved.embedding[i]!));
      expect(distance, path).toBeLessThan(1e-3);
    }
  });

  it("tells people apart with the fast profile, in floats and in 8 bits", async () => {
    for (const precision of PRECISIONS) {
      await using fast = await FacePipeline.open(
        { detector: readFileSync(YUNET), embedding: readFileSync(SFACE) },
        { precision, profile: "fast" },
      );
      const [one, two, other] = await Promise.all(
        [ONE, TWO, OTHER].map((path) => fast.embedPhotograph(path)),
      );
      expect(cosineSimilarity(one!.embedding, two!.embedding)).toBeGreaterThan(0.7);
      expect(cosineSimilarity(one!.embedding, other!.embedding)).toBeLessThan(0.2);
      expect(one!.warnings).toEqual([]);
      const usual = await pipeline.embedPhotograph(ONE);
      expect(pointError(one!.face.landmarks, usual.face.landmarks)).toBeLessThan(0.08);
      expect(one!.face.landmarks).not.toEqual(usual.face.landmarks);
    }
  });

  it.each([90, 180, 270, 45, 200])(
    "finds a photograph turned by %d degrees, with the same points",
    async (angle) => {
      const pixels = await decodePixels(ONE);
      const { faces } = await pipeline.findIn(pixels);
      const original = central(faces, pixels);
      const side = 360;
      const middle = [(side - 1) / 2, (side - 1) / 2] as const;
      const back = similarityAbout(middle, [124.5, 124.5], 1, (-angle * Math.PI) / 180);
      const turned = sample(new Pyramid(pixels), back, side, side);
      const face = central((await pipeline.findIn(turned)).faces, turned);
      const points = face.landmarks.map((point) => applySimilarity(back, point)) as unknown as Landmarks;
      expect(pointError(points, original.landmarks)).toBeLessThan(0.1);
      const roll = ((face.quality.roll - original.quality.roll - angle + 900) % 360) - 180;
      // A face counts as upright up to 8 degrees, and its points show only a third of what is left.
      expect(Math.abs(roll)).toBeLessThan(6);
    },
  );

  it.each(["fast", "standard"] as const)(
    "reads a photograph that lies or stands on its head as it reads it upright, with the profile %s",
    async (profile) => {
      const models = { detector: readFileSync(YUNET), embedding: readFileSync(SFACE) };
      await using turning = await FacePipeline.open(models, { profile });
      const embeddingOf = async (photograph: string | Buffer) =>
        (await turning.embedPhotograph(photograph, { face: "central", what: "it" })).embedding;
      // Once found as if they were upright, or a fifth of a turn beside it.
      for (const [path, angle] of TURNED) {
        const [upright, turned] = [
          await embeddingOf(path),
          await embeddingOf(await turnedPhotograph(path, angle)),
        ];
        expect(cosineSimilarity(upright, turned), `${path} turned by ${angle} degrees`).toBeGreaterThan(0.75);
      }
    },
  );

  it("finds a face that fills the photograph and is cut off by its border", async () => {
    for (const path of PEOPLE) {
      const pixels = await decodePixels(path);
      const whole = await pipeline.findIn(pixels);
      const face = central(whole.faces, pixels);
      const [x, y, width, height] = face.box;
      const to = { a: 1, b: 0, x0: Math.round(x + 0.06 * width), y0: Math.round(y + 0.06 * height) };
      const crop = sample(whole.photograph, to, Math.round(0.88 * width), Math.round(0.88 * height));
      const tight = await pipeline.findIn(crop);
      const [found] = tight.faces;
      expect(found, path).toBeDefined();
      const similarity = cosineSimilarity(
        await pipeline.embed(tight.photograph, found!),
        await pipeline.embed(whole.photograph, face),
      );
      expect(similarity, path).toBeGreaterThan(0.5);
      expect(found!.quality.inside).toBeLessThan(1);
    }
  });

  it("finds faces of any size and angle in large photographs, and decides as on the original", async () => {
    const random = new Random(11);
    for (const [i, path] of PEOPLE.entries()) {
      const original = await pipeline.embedPhotograph(path, { face: "central" });
      const scene = drawnBackground(1200, 900, random.fork("background", i));
      const faceWidth = [40, 60, 100, 180, 280, 400][i % 6]!;
      const reach = Math.min(faceWidth, 440);
      const centre = [random.between(reach, 1200 - reach), random.between(reach, 900 - reach)] as const;
      paste(scene, await decodePixels(path), { centre, faceWidth, angle: random.between(-180, 180) });
      const file = await encodePng(scene.data, scene.width, scene.height);
      const placed = await pipeline.embedPhotograph(file);
      const similarity = cosineSimilarity(placed.embedding, original.embedding);
      expect(similarity, `${path}, ${faceWidth} pixels wide`).toBeGreaterThan(faceWidth < 60 ? 0.5 : 0.8);
    }
  });

  it("finds several faces, chooses as asked, and refuses where only one is wanted", async () => {
    const scene = drawnBackground(1000, 500, new Random(3));
    const places = [
      { path: ONE, centre: [250, 250], faceWidth: 150 },
      { path: OTHER, centre: [510, 250], faceWidth: 60 },
      { path: TWO, centre: [800, 250], faceWidth: 100 },
    ] as const;
    for (const { path, centre, faceWidth } of places) {
      paste(scene, await decodePixels(path), { centre, faceWidth, angle: 0 });
    }
    const file = await encodePng(scene.data, scene.width, scene.height);
    const one = await pipeline.embedPhotograph(ONE);
    const other = await pipeline.embedPhotograph(OTHER);
    const largest = await pipeline.embedPhotograph(file);
    expect(largest.faces).toBe(3);
    expect(cosineSimilarity(largest.embedding, one.embedding)).toBeGreaterThan(0.8);
    const middle = await pipeline.embedPhotograph(file, { face: "central" });
    expect(cosineSimilarity(middle.embedding, other.embedding)).toBeGreaterThan(0.7);
    const only = pipeline.embedPhotograph(file, { face: "only", what: "party.png" });
    await expect(only).rejects.toMatchObject({
      code: "SEVERAL_FACES",
      message: expect.stringContaining("party.png"),
    });
  });

  it("looks for small faces beside a single large one only where all are wanted", async () => {
    const scene = drawnBackground(1600, 1200, new Random(4));
    const put = async (path: string, centre: Point, faceWidth: number) =>
      paste(scene, await decodePixels(path), { centre, faceWidth, angle: 0 });
    await put(ONE, [450, 500], 420);
    await put(OTHER, [1400, 1050], 30);
    const [all, quick] = [await pipeline.findIn(scene), await pipeline.findIn(scene, "largest")];
    expect([all.faces.length, quick.faces.length]).toEqual([2, 1]);
    const largest = ({ faces, photograph }: typeof all) =>
      pipeline.embed(photograph, chooseFace(faces, "largest", scene));
    expect(cosineSimilarity(await largest(quick), await largest(all))).toBeGreaterThan(0.99);
    // A face that could be meant as well: now all of them are found, and their numbers are those of the list.
    await put(TWO, [1150, 500], 230);
    const [three, ofThree] = [await pipeline.findIn(scene), await pipeline.findIn(scene, "largest")];
    expect(ofThree.faces).toHaveLength(3);
    expect(ofThree.faces).toEqual(three.faces);
    for (const path of PEOPLE) {
      const pixels = await decodePixels(path);
      expect((await pipeline.findIn(pixels, "largest")).faces).toEqual((await pipeline.findIn(pixels)).faces);
    }
  });

  it("decodes a quarter of a large JPEG where the face is large enough, and all of it where not", async () => {
    const original = await pipeline.embedPhotograph(ONE);
    for (const [faceWidth, isWhole] of [
      [720, false],
      [200, true],
    ] as const) {
      const scene = drawnBackground(2400, 1800, new Random(8));
      paste(scene, await decodePixels(ONE), { centre: [1100, 900], faceWidth, angle: 10 });
      const file = await encodeJpeg(scene.data, scene.width, scene.height, 95);
      const face = await pipeline.read(file, { wanted: "largest" }, ({ photograph, faces }) => {
        return { photograph, face: chooseFace(faces, "largest", photograph.size) };
      });
      expect(face.photograph.size).toEqual({ width: 2400, height: 1800 });
      expect(face.photograph.level(2).pixels.width).toBe(600);
      const embedding = await pipeline.embed(face.photograph, face.face);
      expect(cosineSimilarity(embedding, original.embedding)).toBeGreaterThan(0.95);
      const whole = await pipeline.findIn(await decodePixels(file), "largest");
      const expected = await pipeline.embed(whole.photograph, whole.faces[0]!);
      expect(cosineSimilarity(embedding, expected)).toBeGreaterThan(0.995);
      expect(JSON.stringify(embedding) === JSON.stringify(expected)).toBe(isWhole);
      // What is cut out finer than the quarter makes all of it be decoded.
      const fine = await pipeline.read(file, { wanted: "largest" }, ({ photograph, faces }) =>
        cropFace(photograph, faces[0]!, { kind: "aligned" }, 448),
      );
      expect(fine.data).toEqual(cropFace(whole.photograph, whole.faces[0]!, { kind: "aligned" }, 448).data);
    }
  });

  it("finds no face in pictures that show none", async () => {
    for (const { kind, pixels } of await picturesWithoutFaces(16, 7)) {
      const { faces } = await pipeline.findIn(pixels);
      expect(faces, kind).toEqual([]);
    }
    const [blank] = await picturesWithoutFaces(1, 7);
    const file = await encodePng(blank!.pixels.data, blank!.pixels.width, blank!.pixels.height);
    await expect(pipeline.embedPhotograph(file)).rejects.toMatchObject({ code: "FACE_NOT_FOUND" });
  });

  it("answers in one session what a session of each size would answer", async () => {
    const model = readFileSync(YUNET);
    const free = await openRuntime(await lowered(model));
    const random = new Random(3);
    for (const [height, width] of [
      [32, 32],
      [128, 128],
      [96, 320],
    ] as const) {
      const shape = [1, 3, height, width];
      const data = Float32Array.from({ length: 3 * height * width }, () => 255 * random.uniform());
      const inputs = new Map([["input", { dtype: "float32" as const, shape, data }]]);
      const { outputs } = readOnnx(model, { what: "the detector", inputShapes: { input: shape } });
      const fixed = await openRuntime(lower({ outputs }).bytes);
      expect(await free.run(inputs)).toEqual(await fixed.run(inputs));
      await fixed.close();
    }
    await free.close();
  });

  it("takes photographs of one pixel and of odd sides", async () => {
    for (const [width, height] of [
      [1, 1],
      [1, 700],
      [333, 17],
    ] as const) {
      const { faces } = await pipeline.findIn({ data: new Uint8Array(width * height * 3), width, height });
      expect(faces).toEqual([]);
    }
  });

  it("finds faces without the embedding's file, and says so where an embedding is wanted", async () => {
    await using finder = await FacePipeline.open({ detector: readFileSync(YUNET) });
    const { photograph, faces } = await finder.find(OTHER);
    expect(faces).toEqual((await pipeline.find(OTHER)).faces);
    await expect(finder.embed(photograph, faces[0]!)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("refuses files that are not the networks, and crops of another size", async () => {
    await expect(YunetNetwork.open(readFileSync(SFACE), openRuntime)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
    });
    await expect(openEmbedder(readFileSync(YUNET), openLowered(openRuntime))).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
    });
    await using embedder = await openEmbedder(readFileSync(SFACE), openLowered(openRuntime));
    const crop = { data: new Uint8Array(96 * 112 * 3), width: 96, height: 112 };
    await expect(embedder.embed(crop)).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
  });
});
