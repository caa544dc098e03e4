/** @file The detector of our own: its targets, its training pictures, its network and its training. */
import { describe, expect, it } from "vitest";
import { exportDetector } from "../bench/detector/export.ts";
import { pointError } from "../bench/detector/measure.ts";
import type { SharedPhotographs } from "../bench/detector/photographs.ts";
import { LFW_SIDE, viewPhotographs } from "../bench/detector/photographs.ts";
import { drawScene } from "../bench/detector/scenes.ts";
import { detectorStep } from "../bench/detector/step.ts";
import {
  cellCount,
  emptyTargets,
  PLACE_NUMBERS,
  type Target,
  writeTargets,
} from "../bench/detector/targets.ts";
import { rateAt, readState, train } from "../bench/detector/train.ts";
import { Random } from "../src/base/random.ts";
import { float32 } from "../src/base/tensor.ts";
import type { Point } from "../src/faces/face.ts";
import { decodeYunet, STRIDES } from "../src/faces/yunet.ts";
import { YunetNetwork } from "../src/faces/yunet-network.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { openRuntime } from "../src/onnx/runtime/runtime.ts";
import { temporaryFolder } from "./support/photos.ts";

const SIDE = 192;

function faceAt(x: number, y: number, size: number, sure = true): Target {
  const point = (dx: number, dy: number): Point => [x + dx * size, y + dy * size];
  return {
    box: [x - size / 2, y - size / 2, size, size],
    landmarks: [point(-0.2, -0.2), point(0.2, -0.2), point(0, 0), point(-0.2, 0.25), point(0.2, 0.25)],
    score: 0.9,
    sure,
  };
}

/** What a network that learned the targets of one picture perfectly would answer. */
function answers(faces: readonly Target[]) {
  const targets = emptyTargets(2, SIDE);
  // The second picture of the batch, so that a wrong offset shows.
  writeTargets(targets, 1, SIDE, faces);
  const outputs = new Map<string, number[]>();
  let at = cellCount(SIDE);
  for (const stride of STRIDES) {
    const end = at + (SIDE / stride) ** 2;
    const place = [...targets.place.subarray(at * PLACE_NUMBERS, end * PLACE_NUMBERS)];
    const part = (from: number, to: number) =>
      place.filter((_, i) => i % PLACE_NUMBERS >= from && i % PLACE_NUMBERS < to);
    outputs.set(`cls_${stride}`, [...targets.score.subarray(at, end)]);
    outputs.set(`obj_${stride}`, [...targets.score.subarray(at, end)]);
    outputs.set(`bbox_${stride}`, part(0, 4));
    outputs.set(`kps_${stride}`, part(4, PLACE_NUMBERS));
    at = end;
  }
  return { targets, found: decodeYunet((name) => outputs.get(name)!, { width: SIDE, height: SIDE }, 0.5) };
}

describe("targets", () => {
  it.each([14, 30, 47, 90, 150, 190])("decode to the face that they encode, of %i pixels", (size) => {
    const face = faceAt(97.3, 90.6, size);
    const { found } = answers([face]);
    expect(found.length).toBeGreaterThan(0);
    for (const { box, landmarks } of found) {
      expect(Math.max(...box.map((value, i) => Math.abs(value - face.box[i]!)))).toBeLessThan(1e-3);
      expect(pointError({ box, landmarks, score: 1 }, face)).toBeLessThan(1e-5);
    }
  });

  it("leave the cells around a face open, and count all others as background", () => {
    const { targets } = answers([faceAt(96, 96, 60)]);
    const second = targets.scoreWeight.subarray(cellCount(SIDE));
    const columns = SIDE / 16;
    const grid = (SIDE / 8) ** 2;
    const weight = (row: number, column: number) => second[grid + row * columns + column];
    expect(weight(6, 6)).toBe(1);
    expect(weight(6, 7)).toBe(0);
    expect(weight(6, 9)).toBe(1);
    expect(targets.scoreWeight.subarray(0, cellCount(SIDE)).every((value) => value === 1)).toBe(true);
  });

  it("learn nothing from a face that is not sure", () => {
    const { targets, found } = answers([faceAt(96, 96, 60, false)]);
    expect(found).toEqual([]);
    expect(targets.placeWeight.every((value) => value === 0)).toBe(true);
    expect(targets.scoreWeight.some((value) => value === 0)).toBe(true);
  });

  it("give each of two faces its own cells", () => {
    const [one, other] = [faceAt(60, 60, 30), faceAt(120, 120, 44)];
    const sizes = answers([one, other]).found.map(({ box }) => Math.round(box[2]));
    expect(new Set(sizes)).toEqual(new Set([30, 44]));
  });
});

/** Photographs with one face each; the eye on the left is a red dot, the other one a green one, on grey. */
function dotted(count: number): SharedPhotographs {
  const pixels = new SharedArrayBuffer(count * LFW_SIDE * LFW_SIDE * 3);
  const data = new Uint8Array(pixels).fill(128);
  const face = faceAt(125, 125, 95);
  for (let i = 0; i < count; i++) {
    for (const [eye, colour] of [
      [0, [255, 0, 0]],
      [1, [0, 255, 0]],
    ] as const) {
      const [x, y] = face.landmarks[eye];
      for (let row = -9; row <= 9; row++) {
        for (let column = -9; column <= 9; column++) {
          if (Math.hypot(row, column) > 9) continue;
          data.set(colour, ((i * LFW_SIDE + Math.round(y) + row) * LFW_SIDE + Math.round(x) + column) * 3);
        }
      }
    }
  }
  const { sure: _, ...detection } = face;
  return { labels: Array.from({ length: count }, (_, i) => ({ path: `${i}`, faces: [detection] })), pixels };
}

const subtract = ([x, y]: Point, [u, v]: Point): Point => [x - u, y - v];

describe("training pictures", () => {
  const photographs = viewPhotographs(dotted(3));

  it("show each eye where its label says", () => {
    let [right, all] = [0, 0];
    for (let number = 0; number < 150; number++) {
      const { pixels, faces } = drawScene(photographs, SIDE, 5, number);
      for (const { landmarks, sure, box } of faces) {
        if (!sure || box[2] < 30) continue;
        const colours = landmarks.slice(0, 2).map((point) => {
          const [x, y] = point.map(Math.round) as [number, number];
          const isInside = x >= 0 && y >= 0 && x < SIDE && y < SIDE;
          const [red, green] = isInside ? pixels.data.subarray((y * SIDE + x) * 3) : [0, 0];
          return red! - green!;
        });
        // The eye on the left of the upright face is above the corner of the mouth on the left, in a mirror too.
        const [eye, other, , mouth] = landmarks;
        const [across, down] = [subtract(other, eye), subtract(mouth, eye)];
        expect(across[0] * down[1] - across[1] * down[0]).toBeGreaterThan(0);
        all++;
        if (colours[0]! * colours[1]! < 0 && Math.min(...colours.map(Math.abs)) > 20) right++;
      }
    }
    expect(all).toBeGreaterThan(100);
    // The others are grey pictures, and eyes that something covers or that lie outside.
    expect(right / all).toBeGreaterThan(0.8);
  });

  it("are the same for the same seed and number", () => {
    const again = drawScene(photographs, SIDE, 5, 7);
    expect(drawScene(photographs, SIDE, 5, 7)).toEqual(again);
    expect(drawScene(photographs, SIDE, 6, 7)).not.toEqual(again);
  });
});

describe("the network", () => {
  it("is read as YuNet is, for pictures of any size", async () => {
    const { weights } = detectorStep(1, 64);
    const state = initialWeights(weights, new Random(3));
    // Begins with a score that finds a face in every cell.
    for (const stride of STRIDES) state.set(`head_${stride}_score/offset`, float32([1], [4]));
    await using network = await YunetNetwork.open(exportDetector(state), openRuntime);
    for (const [width, height] of [
      [64, 96],
      [160, 64],
    ] as const) {
      const data = new Uint8Array(width * height * 3).fill(90);
      const found = await network.detect({ data, width, height }, 0.5);
      expect(found.length).toBe(
        STRIDES.reduce((sum, stride) => sum + (width / stride) * (height / stride), 0),
      );
    }
  });
});

describe("training", () => {
  it("lets the rate rise, stay and fall to nearly nothing", () => {
    expect(rateAt(30, 10_000, 5000)).toBeCloseTo(0.1);
    expect(rateAt(5000, 10_000, 5000)).toBe(1);
    expect(rateAt(7500, 10_000, 5000)).toBeCloseTo(0.5, 2);
    expect(rateAt(10_000, 10_000, 5000)).toBeLessThan(0.001);
  });

  it("goes on after an interruption with the same bits", async () => {
    const photographs = dotted(2);
    const run = async (stops: readonly number[]) => {
      const folder = await temporaryFolder();
      for (const until of stops) await train({ folder, photographs, steps: 6, until, batch: 2, side: 64 });
      return await readState(folder);
    };
    const whole = await run([6]);
    expect(whole?.step).toBe(6);
    expect(await run([3, 6])).toEqual(whole);
  });

  it("learns to find the faces of two photographs", async () => {
    const folder = await temporaryFolder();
    const losses: number[] = [];
    const log = (line: string) => losses.push(Number(/score ([\d.]+), place/.exec(line)?.[1]));
    const options = {
      folder,
      photographs: dotted(2),
      steps: 80,
      batch: 4,
      side: 64,
      learningRate: 0.02,
      log,
    };
    for (const until of [5, 75, 80]) await train({ ...options, until });
    const [early, , late] = losses.filter((loss) => !Number.isNaN(loss)) as [number, number, number];
    expect(late).toBeLessThan(0.6 * early);
  });
});
