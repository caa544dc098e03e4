/**
 * @file How far the figures of private mode are from the server's, over all pairs of photographs of LFW: the pipeline with
 * ONNX Runtime compiled to WebAssembly, as the page runs it, beside the native one; and the native one beside itself with
 * another order of its sums, as other processors have.
 * `node --import tsx bench/private-mode.ts [--people 20]`
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-web/wasm";
import { float32 } from "../src/base/tensor.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import type { OpenNetwork } from "../src/faces/network.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { openRuntime } from "../src/onnx/runtime/runtime.ts";

const LFW = "../shared/datasets/lfw";
const MODELS = "../shared/models/opencv";
const WANTED = 1e-3;

const { values: flags } = parseArgs({ options: { people: { type: "string", default: "20" } } });

ort.env.wasm.numThreads = 1;
const inWebAssembly: OpenNetwork = async (model) => {
  const options = { executionProviders: ["wasm"], logSeverityLevel: 4 } as const;
  const session = await ort.InferenceSession.create(model, options);
  return {
    async run(inputs) {
      const feeds = [...inputs].map(
        ([name, { shape, data }]) => [name, new ort.Tensor("float32", data as Float32Array, shape)] as const,
      );
      const outputs = Object.entries(await session.run(Object.fromEntries(feeds)));
      return new Map(outputs.map(([name, { dims, data }]) => [name, float32(dims, data as Float32Array)]));
    },
    close: () => session.release(),
  };
};

const models = {
  detector: readFileSync(join(MODELS, "face_detection_yunet_2023mar_int8bq.onnx")),
  embedding: readFileSync(join(MODELS, "face_recognition_sface_2021dec_int8bq.onnx")),
};
await using native = await FacePipeline.open(models);
await using web = await FacePipeline.open(models, { open: inWebAssembly });
await using reordered = await FacePipeline.open(models, {
  open: (model) => openRuntime(model, { blockedLayouts: false }),
});

const photographs = readdirSync(LFW, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => readdirSync(join(LFW, name)).map((file) => join(LFW, name, file)))
  .filter((files) => files.length >= 2)
  .slice(0, Number(flags.people))
  .flatMap((files) => files.slice(0, 2));

/** All similarities of the photographs. */
async function similarities(pipeline: FacePipeline): Promise<number[]> {
  const embeddings: Float32Array[] = [];
  for (const photograph of photographs) {
    embeddings.push((await pipeline.embedPhotograph(photograph)).embedding);
  }
  return embeddings.flatMap((a, i) => embeddings.slice(i + 1).map((b) => cosineSimilarity(a, b)));
}

const reference = await similarities(native);
console.log(`${photographs.length} photographs, ${reference.length} pairs; differences of the similarity`);
console.log("beside the native runtime          median      95 %      99 %   largest  within 1e-3");
for (const [name, pipeline] of [
  ["WebAssembly", web],
  ["native, without blocked layouts", reordered],
] as const) {
  const others = await similarities(pipeline);
  const off = others.map((value, i) => Math.abs(value - reference[i]!)).toSorted((a, b) => a - b);
  const at = (share: number) => off[Math.floor(share * (off.length - 1))]!.toExponential(1).padStart(9);
  const within = (100 * off.filter((value) => value <= WANTED).length) / off.length;
  console.log(
    `${name.padEnd(32)} ${[0.5, 0.95, 0.99, 1].map(at).join(" ")}  ${within.toFixed(1).padStart(10)} %`,
  );
}
