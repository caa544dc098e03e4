/** @file ONNX files of others become SavedModels that TensorFlow runs to ONNX Runtime's numbers. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { float32, sizeOf, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { readAnyModel } from "../../src/jobs/read-model.ts";
import { openRuntime } from "../../src/onnx/runtime/runtime.ts";
import { contentOf } from "../../src/savedmodel/write/rewrite.ts";
import { writeSavedModel } from "../../src/savedmodel/write/write.ts";
import { multipliedOut } from "../support/blocked-weights.ts";
import { onnxFile } from "../support/onnx-file.ts";
import { ONNX_NETWORKS } from "../support/onnx-networks.ts";
import { randomNetwork } from "../support/random-network.ts";
import {
  openPython,
  readFloats,
  temporaryFolder,
  WITHOUT_ONEDNN,
  writeFloats,
} from "./python-environment.ts";

const python = await openPython();
const ownKernels = await openPython(WITHOUT_ONEDNN);
const SHARED = join(import.meta.dirname, "../../../shared");
const FACES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const KERAS = [
  "mobilenet_v2",
  "mobilenet_v3_small",
  "resnet50",
  "efficientnet_b0",
  "densenet121",
  "many_layers",
];
const BY_HAND = Object.keys(ONNX_NETWORKS);
const RANDOM = [1, 2, 3, 4, 5, 6].map((seed) => `random ${seed}`);
const PACK = ["face_detection_yunet_2023mar_int8bq", "face_recognition_sface_2021dec_int8bq"].filter((name) =>
  existsSync(join(FACES, `${name}.onnx`)),
);
const SIGNATURE = "serving_default";
const ROWS = 2;
const TOLERANCE = 1e-5;
const LOADERS = ["tf2", "c"];

/** Where the answers are kept that TensorFlow gave with the kernels of its default on this processor. */
const defaultKernels = (work: string) => `${work}-default-kernels`;

const random = new Random(3);

/** What the networks are called, and their files. */
function bytesOf(name: string, kerasFolder: string): Uint8Array {
  if (PACK.includes(name)) return readFileSync(join(FACES, `${name}.onnx`));
  if (KERAS.includes(name)) return readFileSync(join(kerasFolder, `${name}.onnx`));
  const network = ONNX_NETWORKS[name as keyof typeof ONNX_NETWORKS];
  return onnxFile(network ?? randomNetwork(Number(name.split(" ")[1]), 12));
}

/** Photographs of faces, channel by channel: a detector has nothing to say of noise. */
async function photographs([count, channels, height, width]: readonly number[]): Promise<Float32Array> {
  const people = readdirSync(LFW, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const plane = height! * width!;
  const values = new Float32Array(count! * channels! * plane);
  for (let i = 0; i < count!; i++) {
    const person = join(LFW, people[i]!.name);
    const file = readFileSync(join(person, readdirSync(person)[0]!));
    const pixels = await decodeImage(file, { height: height!, width: width!, channels: 3 });
    values.set(
      Float32Array.from({ length: 3 * plane }, (_, at) => pixels[3 * (at % plane) + Math.floor(at / plane)]!),
      i * 3 * plane,
    );
  }
  return values;
}

/** One row of each input. */
const rowOf = (inputs: TensorMap, i: number): TensorMap =>
  new Map(
    [...inputs].map(([name, { shape, data }]) => {
      const size = sizeOf(shape.slice(1));
      return [name, float32([1, ...shape.slice(1)], (data as Float32Array).slice(i * size, (i + 1) * size))];
    }),
  );

/** What ONNX Runtime makes of a file, row by row. */
async function expected(file: Uint8Array, inputs: TensorMap): Promise<TensorMap[]> {
  // The engine takes neither blocks of whole numbers with such scales nor inputs that nobody uses.
  const session = await openRuntime(multipliedOut(file));
  try {
    const rows: TensorMap[] = [];
    for (let i = 0; i < ROWS; i++) rows.push(await session.run(rowOf(inputs, i)));
    return rows;
  } finally {
    await session.close();
  }
}

interface Job {
  readonly model: string;
  readonly work: string;
  readonly loaders: readonly string[];
  readonly signatures: Readonly<Record<string, Record<string, { dtype: string; shape: readonly number[] }>>>;
}

describe.skipIf("unavailable" in python || "unavailable" in ownKernels)("ONNX files as SavedModels", () => {
  const wanted = new Map<string, { rows: TensorMap[]; work: string }>();

  /** Converts a file, and writes down what TensorFlow is to be asked. */
  async function prepare(name: string, kerasFolder: string): Promise<Job> {
    const work = temporaryFolder("onnx-import");
    const file = bytesOf(name, kerasFolder);
    writeFileSync(join(work, "model.onnx"), file);
    const model = await readAnyModel(join(work, "model.onnx"));
    const folder = join(work, "saved/1");
    mkdirSync(join(work, "saved"));
    await writeSavedModel(folder, await contentOf(model));
    const inputs = new Map<string, Tensor<"float32">>();
    for (const [alias, { shape }] of model.signatures.get(SIGNATURE)!.inputs) {
      expect(shape![0], `${name} takes any number of images`).toBe(-1);
      const sides = [ROWS, ...shape!.slice(1)];
      const noise = () => Float32Array.from({ length: sizeOf(sides) }, () => random.uniform());
      inputs.set(alias, float32(sides, PACK.includes(name) ? await photographs(sides) : noise()));
    }
    for (const [alias, value] of inputs) writeFloats(join(work, `${SIGNATURE}.${alias}.bin`), value.data);
    wanted.set(name, { rows: await expected(file, inputs), work });
    const described = [...inputs].map(([alias, { dtype, shape }]) => [alias, { dtype, shape }] as const);
    return {
      model: folder,
      work,
      loaders: LOADERS,
      signatures: { [SIGNATURE]: Object.fromEntries(described) },
    };
  }

  beforeAll(async () => {
    if ("unavailable" in python || "unavailable" in ownKernels) return;
    const kerasFolder = temporaryFolder("keras-onnx");
    await python.run("make_onnx_models.py", kerasFolder);
    const jobs: Job[] = [];
    for (const name of [...KERAS, ...BY_HAND, ...RANDOM, ...PACK])
      jobs.push(await prepare(name, kerasFolder));
    const list = join(temporaryFolder("onnx-import"), "jobs.json");
    writeFileSync(list, JSON.stringify(jobs));
    await python.run("run_saved_model.py", list);
    for (const { work } of wanted.values()) cpSync(work, defaultKernels(work), { recursive: true });
    await ownKernels.run("run_saved_model.py", list);
  });

  it.each([...KERAS, ...BY_HAND, ...RANDOM, ...PACK])(
    "%s gives ONNX Runtime's numbers in TensorFlow",
    (name) => {
      const { rows, work } = wanted.get(name)!;
      expect(rows[0]!.size).toBeGreaterThan(0);
      const answers = (output: string) =>
        rows.flatMap((row) => Array.from(row.get(output)!.data as Float32Array));
      const outputs = [...rows[0]!.keys()];
      // A detector's scores for sizes that are not in the photograph are near 0; the scale is that of all of its answers.
      const greatest = outputs.flatMap(answers).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const output of outputs) {
        const ours = answers(output);
        for (const file of LOADERS.map((loader) => `${SIGNATURE}.${output}.${loader}.bin`)) {
          for (const folder of [work, defaultKernels(work)]) {
            const theirs = readFloats(join(folder, file));
            expect(theirs.length, output).toBe(ours.length);
            const furthest = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
            expect(furthest / greatest, join(folder, file)).toBeLessThan(TOLERANCE);
          }
        }
      }
    },
  );
});
