/** @file Our SavedModels in genuine TensorFlow: both Python loaders and the C++ one give our numbers, for floats and files. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WeightType } from "../../src/artifact/weights.ts";
import { Random } from "../../src/base/random.ts";
import { float32, floats, sizeOf, type Tensor, type TensorMap, tensor } from "../../src/base/tensor.ts";
import { decodeImage, encodeJpeg, encodePng } from "../../src/image/decode.ts";
import { prepare } from "../../src/image/settings.ts";
import { signaturesOf, warmupRequests } from "../../src/jobs/export.ts";
import { embeddingSizeOf, type ModelConfig } from "../../src/model/model-config.ts";
import { NETWORKS } from "../../src/model/networks.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { WARMUP_FILE, warmupFile } from "../../src/savedmodel/format/warmup-file.ts";
import { readSavedModel } from "../../src/savedmodel/read/read.ts";
import type { Signature } from "../../src/savedmodel/signature.ts";
import { contentOf } from "../../src/savedmodel/write/rewrite.ts";
import { writeSavedModel } from "../../src/savedmodel/write/write.ts";
import type { Servable } from "../../src/serving/engine/servable.ts";
import { savedModelLoader } from "../../src/serving/repository/loader.ts";
import { drawPhoto } from "../../src/synthetic/draw.ts";
import { openPython, readFloats, temporaryFolder, writeFloats } from "./python-environment.ts";

const python = await openPython();

const SIDE = 112;
const BATCH = 3;
const SETTINGS = { height: SIDE, width: SIDE, channels: 3 } as const;
const LFW = join(import.meta.dirname, "../../../shared/datasets/lfw");
const input = { height: SIDE, width: SIDE };
const MODELS: readonly { title: string; model: ModelConfig; weights?: WeightType }[] = [
  ...NETWORKS.map(({ name }) => ({ title: name, model: { network: name, input } })),
  { title: "compact with a crop", model: { network: "compact", input, crop: 0.8 } },
  {
    title: "compact in two stages",
    model: { network: "compact", input, crops: [0.6, 1], gaborCrops: [0.6], mirror: true, projectionDim: 64 },
  },
  {
    title: "adapted sface",
    model: { network: "sface", input, mirror: true, projectionDim: 128, head: "cosine" },
  },
  { title: "cosine of sface", model: { network: "sface", input, mirror: true, head: "cosine" } },
  {
    title: "slim in half precision",
    model: { network: "slim", input, mirror: true, projectionDim: 64 },
    weights: "float16",
  },
];
const LOADERS = ["tf2", "tf1", "c"];

/** First weights with running statistics and biases moved away from their round values. */
function someWeights(model: ModelConfig): TensorMap {
  const { net } = siamese(model, { mode: "inference", batch: 1 });
  const random = new Random(3);
  return new Map(
    [...initialWeights(net.weights, random)].map(([name, value]) => {
      const moved = name.endsWith("kernel")
        ? floats(value)
        : floats(value).map((v) => v + 0.2 * random.uniform());
      return [name, float32(value.shape, moved)];
    }),
  );
}

const drawn = (identity: number, height: number, width: number) =>
  drawPhoto({ seed: 5, identity, number: 0, difficulty: 1 }, { height, width, channels: 3 });

/** Photographs as files: drawn ones of three sizes and formats, and real ones where they are at hand. */
async function photographs(seed: number): Promise<Uint8Array[]> {
  const files = [
    await encodeJpeg(drawn(seed, 200, 150), 150, 200),
    await encodePng(drawn(seed + 1, 70, 90), 90, 70),
    await encodeJpeg(drawn(seed + 2, 330, 470), 470, 330),
  ];
  if (!existsSync(LFW)) {
    process.stderr.write(`there is no ${LFW}; only drawn photographs are compared\n`);
    return files;
  }
  const person = readdirSync(LFW, { withFileTypes: true }).filter((entry) => entry.isDirectory())[seed]!;
  const [first] = readdirSync(join(LFW, person.name));
  return [readFileSync(join(LFW, person.name, first!)), ...files.slice(1)];
}

const random = new Random(4);
const uniform = (shape: readonly number[]) =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.uniform()),
  );

/** Embeddings of length 1. */
function directions(count: number, size: number): Tensor<"float32"> {
  const rows = Array.from({ length: count }, () => {
    const row = Array.from({ length: size }, () => random.normal());
    const norm = Math.hypot(...row);
    return row.map((value) => value / norm);
  });
  return float32([count, size], Float32Array.from(rows.flat()));
}

/** Images of one input: noise first, then photographs. */
async function images(seed: number): Promise<Tensor> {
  const batch = uniform([BATCH, SIDE, SIDE, 3]);
  for (const [i, file] of (await photographs(seed)).slice(0, BATCH - 1).entries()) {
    batch.data.set(prepare(await decodeImage(file, SETTINGS)), (i + 1) * SIDE * SIDE * 3);
  }
  return batch;
}

async function requestFor({ inputs }: Signature): Promise<TensorMap> {
  const values = [...inputs].map(async ([alias, { dtype, shape }], i): Promise<[string, Tensor]> => {
    if (dtype === "string") return [alias, tensor("string", [BATCH], await photographs(10 * i))];
    if (shape?.length === 4) return [alias, await images(10 * i)];
    return [alias, directions(BATCH, shape![1]!)];
  });
  return new Map(await Promise.all(values));
}

function writeInput(work: string, name: string, value: Tensor): void {
  if (value.dtype !== "string") writeFloats(join(work, `${name}.bin`), floats(value as Tensor<"float32">));
  else {
    for (const [i, file] of (value.data as readonly Uint8Array[]).entries()) {
      writeFileSync(join(work, `${name}.${i}.bin`), file);
    }
  }
}

interface Exported {
  readonly folder: string;
  readonly again: string;
  readonly work: string;
  readonly workAgain: string;
  readonly servable: Servable;
  /** Milliseconds that our server took to load it. */
  readonly loaded: number;
  readonly requests: ReadonlyMap<string, TensorMap>;
}

async function exported({ title, model, weights }: (typeof MODELS)[number]): Promise<Exported> {
  const [work, workAgain] = [temporaryFolder(model.network), temporaryFolder(`${model.network}-again`)];
  const [folder, again] = [join(work, "model/1"), join(workAgain, "model/1")];
  const signatures = signaturesOf(model);
  const warmup = warmupFile(title, await warmupRequests(signatures, SETTINGS));
  await writeSavedModel(folder, {
    signatures,
    parameters: someWeights(model),
    weights,
    files: { [WARMUP_FILE]: warmup },
  });
  await writeSavedModel(again, await contentOf(await readSavedModel(folder)));
  const begun = performance.now();
  const servable = await savedModelLoader({ sessions: 1 })(folder, { name: title, version: 1n });
  const loaded = performance.now() - begun;
  const requests = new Map<string, TensorMap>();
  for (const [name, signature] of servable.signatures) {
    const request = await requestFor(signature);
    requests.set(name, request);
    for (const place of [work, workAgain]) {
      for (const [alias, value] of request) writeInput(place, `${name}.${alias}`, value);
    }
  }
  return { folder, again, work, workAgain, servable, loaded, requests };
}

/** What the script is told of a model. */
function jobsOf({ folder, again, work, workAgain, requests }: Exported) {
  const signatures = Object.fromEntries(
    [...requests].map(([name, inputs]) => [
      name,
      Object.fromEntries([...inputs].map(([alias, { dtype, shape }]) => [alias, { dtype, shape }])),
    ]),
  );
  return [
    { model: folder, work, loaders: LOADERS, signatures },
    { model: again, work: workAgain, loaders: ["tf2"], signatures },
  ];
}

interface WarmupAnswer {
  readonly signature: string;
  readonly model: string;
  readonly answers: Record<string, number[]>;
}

describe.skipIf("unavailable" in python)("TensorFlow", () => {
  const models = new Map<string, Exported>();
  let warmup: (WarmupAnswer[] | null)[] = [];
  let loads: Record<string, number>[] = [];

  beforeAll(async () => {
    if ("unavailable" in python) return;
    for (const model of MODELS) models.set(model.title, await exported(model));
    const jobs = join(temporaryFolder("export"), "jobs.json");
    writeFileSync(jobs, JSON.stringify([...models.values()].flatMap(jobsOf)));
    ({ warmup, loads } = (await python.run("run_saved_model.py", jobs)) as {
      warmup: typeof warmup;
      loads: typeof loads;
    });
  });
  afterAll(() => Promise.all([...models.values()].map(({ servable }) => servable.close())));

  it.each(MODELS)("runs an exported $title and gives our numbers with every loader", async ({ title }) => {
    const { servable, requests, work, folder, loaded } = models.get(title)!;
    expect([...requests.keys()].sort()).toEqual(["compare", "embed", "serving_default", "verify_encoded"]);
    const far: Record<string, number> = {};
    for (const [name, request] of requests) {
      const outputs = [...servable.signatures.get(name)!.outputs.keys()];
      for (const [alias, value] of await servable.run(name, request, outputs)) {
        for (const loader of LOADERS) {
          const theirs = readFloats(join(work, `${name}.${alias}.${loader}.bin`));
          // Rounding goes with the vector's greatest elements, from which the small ones were subtracted.
          const scale = Math.max(...theirs.map(Math.abs));
          const difference = floats(value as Tensor<"float32">).map(
            (v, i) => Math.abs(v - theirs[i]!) / scale,
          );
          far[name] = Math.max(far[name] ?? 0, ...difference);
          expect(floats(value), `${name}/${alias} by ${loader}`).toBeAllClose(theirs, {
            absolute: 1e-5 * scale,
            relative: 1e-5,
          });
        }
      }
    }
    const texts = Object.entries(far).map(([name, difference]) => `${name} ${difference.toExponential(0)}`);
    const place = 2 * MODELS.findIndex((each) => each.title === title);
    const theirs = LOADERS.map((loader) => `${loader} ${Math.round(1000 * loads[place]![loader]!)} ms`);
    const megabytes = (statSync(join(folder, "saved_model.pb")).size / 1e6).toFixed(1);
    process.stderr.write(
      `${title}, farthest from TensorFlow: ${texts.join(", ")}; ${megabytes} MB, loaded by us in ${Math.round(loaded)} ms, by ${theirs.join(", ")}\n`,
    );
  });

  it.each(MODELS)("gives the same numbers for $title loaded and exported again", ({ title }) => {
    const { work, workAgain, servable } = models.get(title)!;
    for (const [name, { outputs }] of servable.signatures) {
      for (const alias of outputs.keys()) {
        const [before, after] = [work, workAgain].map((place) =>
          readFloats(join(place, `${name}.${alias}.tf2.bin`)),
        );
        expect(after, `${name}/${alias}`).toBeAllClose(before!, { absolute: 1e-6, relative: 1e-6 });
      }
    }
  });

  it("parses and answers the warm-up requests, one for each signature", () => {
    MODELS.forEach(({ title, model: config }, i) => {
      const requests = warmup[2 * i]!;
      expect(requests.map(({ signature }) => signature).sort()).toEqual([
        "compare",
        "embed",
        "serving_default",
        "verify_encoded",
      ]);
      for (const { model, signature, answers } of requests) {
        expect(model).toBe(title);
        expect(answers).toEqual(
          signature === "embed" ? { embedding: [1, embeddingSizeOf(config)] } : { classifier: [1, 1] },
        );
      }
    });
  });
});
