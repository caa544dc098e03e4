/** @file Students of a small teacher made here: what they learn from, what is kept, and that runs resume to the bit. */
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { temporaryFolder, tinyConfig } from "../../test/support/tiny-run.ts";
import { silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32 } from "../base/tensor.ts";
import { drawnIdentities } from "../data/drawn.ts";
import { Loader } from "../data/loader.ts";
import * as g from "../graph/build.ts";
import { lower } from "../onnx/lower/lower.ts";
import { readCheckpoint } from "./checkpoint.ts";
import { trainConfig } from "./config.ts";
import type { TrainListener } from "./listeners.ts";
import { LAST_CHECKPOINT } from "./listeners.ts";
import { resumeNetwork, trainNetwork } from "./network-run.ts";
import { recipeOf } from "./recipes.ts";
import { Teacher } from "./teacher.ts";

const pack = vi.hoisted(() => ({ embedding: "", sha256: "" }));
vi.mock("../faces/models.ts", () => ({
  openPack: () =>
    Promise.resolve({
      name: "opencv-sface",
      files: { detector: "", embedding: pack.embedding },
      about: { files: { embedding: { sha256: pack.sha256 } } },
    }),
}));

/** A pack's embedding: every eighth pixel of the planes, multiplied by random numbers. */
function teacherModel(): Uint8Array {
  const planes = g.input("data", ["batch", 3, 112, 112]);
  const few = g.slice(planes, [0, 0, 0, 0], [2 ** 31, 3, 112, 112], [1, 1, 8, 8]);
  const random = new Random(3);
  const kernel = Float32Array.from({ length: 3 * 14 * 14 * 128 }, () => random.normal());
  const rows = g.sub(g.reshape(few, [0, 3 * 14 * 14]), 128);
  const fc1 = g.matmul(rows, g.constant(float32([3 * 14 * 14, 128], kernel)));
  return lower({ outputs: { fc1 } }).bytes;
}

const config = tinyConfig({
  teacher: "opencv-sface",
  teacherMix: 0.5,
  imageShape: [112, 112],
  sampling: "people",
  photosPerPerson: 1,
  optimizer: "adamw",
  learningRate: 0.003,
  batchSize: 8,
  datasetSize: 16,
  epochs: 3,
  replicas: 2,
});

const SIDE = 112;
const images = drawnIdentities(0, 2, 2).flatMap((person) => [...person.images]);
let cache: string;

beforeAll(() => {
  cache = temporaryFolder("student-cache");
  vi.stubEnv("FACEID_CACHE_DIR", cache);
  pack.embedding = join(cache, "teacher.onnx");
  const bytes = teacherModel();
  pack.sha256 = createHash("sha256").update(bytes).digest("hex");
  writeFileSync(pack.embedding, bytes);
});

async function taught(folder: string): Promise<Map<number, Float32Array>> {
  await using loader = new Loader({
    settings: { height: SIDE, width: SIDE, channels: 3 },
    cacheFolder: false,
  });
  await using teacher = await Teacher.open("opencv-sface", silentLog, folder);
  return await teacher.embedAll(images, loader);
}

describe("a teacher", () => {
  it("embeds each image once for all runs, and again what its file has lost", {
    timeout: 300_000,
  }, async () => {
    const folder = temporaryFolder("kept");
    const first = await taught(folder);
    expect(first.size).toBe(images.length);
    for (const embedding of first.values()) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
    const path = join(folder, readdirSync(folder)[0]!);
    const { size } = statSync(path);
    expect(await taught(folder)).toEqual(first);
    expect(statSync(path).size).toBe(size);

    // Cut off within the first entry by a full disk, after which another process went on; and a changed bit.
    const bytes = readFileSync(path);
    const entry = size / images.length;
    bytes[2 * entry + 40]! ^= 1;
    writeFileSync(path, bytes.subarray(0, 100));
    appendFileSync(path, bytes.subarray(entry));
    expect(await taught(folder)).toEqual(first);
    expect(statSync(path).size).toBe(100 + size + entry);
  });
});

describe("a student", () => {
  it("comes closer to its teacher, and ends with the same bits when it was stopped", {
    timeout: 300_000,
  }, async () => {
    const whole = temporaryFolder("student");
    await trainNetwork({ config, folder: whole });
    const straight = await readCheckpoint(join(whole, LAST_CHECKPOINT));
    const { history } = straight.progress;
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss);
    // One minus a cosine, of people held out.
    for (const { validationLoss } of history) expect(Math.abs(validationLoss! - 1)).toBeLessThan(1);

    const stopped = temporaryFolder("student-stopped");
    const controller = new AbortController();
    const listener: TrainListener = {
      onStep: ({ step }) => {
        if (step === 3) controller.abort();
      },
    };
    await trainNetwork({ config, folder: stopped, listeners: [listener], signal: controller.signal });
    await resumeNetwork(stopped);
    const resumed = await readCheckpoint(join(stopped, LAST_CHECKPOINT));
    expect(resumed.progress.history.map(({ loss }) => loss)).toEqual(
      straight.progress.history.map(({ loss }) => loss),
    );
    for (const [name, { data }] of straight.state) expect(resumed.state.get(name)?.data, name).toEqual(data);
  });

  it("learns the people on its photographs as well where a loss says so", { timeout: 300_000 }, async () => {
    const folder = temporaryFolder("student-people");
    await trainNetwork({ config: { ...config, loss: "cosface", epochs: 1 }, folder });
    const { state } = await readCheckpoint(join(folder, LAST_CHECKPOINT));
    expect(state.get("people/directions")?.shape[0]).toBe(128);
  });

  it.each([
    [{ sampling: "pairs" }, /batches of images, got pairs/],
    [{ imageShape: [96, 96] }, /112x112 pixels, got 96x96/],
    [{ model: "closeup" }, /128 numbers, the network closeup gives 256/],
  ] as const)("refuses %j", async (changes, message) => {
    const wrong = {
      ...config,
      ...changes,
      imageShape: [...((changes as typeof config).imageShape ?? [SIDE, SIDE])],
    };
    await expect(trainNetwork({ config: wrong, folder: temporaryFolder("refused") })).rejects.toThrow(
      message,
    );
  });

  it("has the settings of its recipe unless others are given", () => {
    expect(trainConfig({ teacher: "opencv-sface", model: "mobilefacenet" })).toMatchObject({
      faces: "align",
      sampling: "people",
      model: "mobilefacenet",
      projectionDim: 128,
    });
    // People are left out by the command's recipe alone, which knows the layout that was named.
    expect(trainConfig({ teacher: "opencv-sface", dataset: "lfw" }).excludePairs).toBeUndefined();
    expect(recipeOf({ teacher: "opencv-sface" })).toBe("student");
    expect(recipeOf({ teacher: "opencv-sface", recipe: "best" })).toBe("best");
    expect(recipeOf({})).toBeUndefined();
    expect(() => trainConfig({ teacher: "facenet" as "opencv-sface" })).toThrow(/teacher/);
  });
});
