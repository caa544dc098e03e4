/** @file A trained network in use: its weights stored in ONNX models that a pool of sessions runs. */
import { availableParallelism } from "node:os";
import { COMPARE, EMBED, pairInputs } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { float32, floats, sameShape, shapeText, type TensorMap } from "../base/tensor.ts";
import { rowsAtATime } from "../graph/batch-rows.ts";
import { embeddingSizeOf } from "../model/model-config.ts";
import { siamese } from "../model/siamese.ts";
import type { Embedder, Verifier } from "../model/verifier.ts";
import { lower } from "../onnx/lower/lower.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";
import { modelConfigOf, type NetworkSettings } from "./config.ts";
import { inferenceGraphs } from "./step.ts";
import { averagedState } from "./weight-averages.ts";

/**
 * The weights that inference needs, out of a training state: the running averages where it holds them.
 * @throws FaceError `CHECKPOINT_INVALID` when one is missing, `CHECKPOINT_MISMATCH` when one has another shape.
 */
export function inferenceWeights(config: NetworkSettings, state: TensorMap): TensorMap {
  const { net } = siamese(modelConfigOf(config), { mode: "inference", batch: 1 });
  const values = averagedState(state);
  return new Map(
    net.weights.map(({ name, shape }) => {
      const value = values.get(name);
      if (value === undefined) throw new FaceError("CHECKPOINT_INVALID", `the checkpoint holds no ${name}`);
      if (sameShape(value.shape, shape)) return [name, value];
      const [wanted, got] = [shape, value.shape].map(shapeText);
      throw new FaceError("CHECKPOINT_MISMATCH", `the network needs ${name} as ${wanted}, got ${got}`);
    }),
  );
}

/** An ONNX model with the inputs and outputs of the `embed` signature. */
interface EmbedModel extends Pick<Embedder, "image" | "embeddingSize"> {
  readonly embed: Uint8Array;
  /** As `rowsAtATime` says for it. */
  readonly rows?: number | undefined;
}

async function pooledEmbedder(
  { image: { height, width }, embeddingSize, embed, rows }: EmbedModel,
  sessions: number,
): Promise<Embedder> {
  const pool = await SessionPool.open(embed, sessions, { rowsAtATime: rows });
  return {
    image: { height, width },
    embeddingSize,
    concurrency: sessions,
    async embed(images, count) {
      const inputs = new Map([[EMBED.image, float32([count, height, width, 3], images)]]);
      return floats((await pool.run(inputs)).get(EMBED.embedding)!);
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

/** ONNX models with the inputs and outputs of the signatures `embed` and `compare`. */
export interface VerifierModels extends EmbedModel {
  readonly compare: Uint8Array;
}

/**
 * A verifier from its two ONNX models.
 * @param sessions embedding sessions, each single-threaded in a worker thread; by default one per core. Comparing, which
 *   takes next to no time, gets one.
 */
export async function pooledVerifier(
  models: VerifierModels,
  sessions: number = availableParallelism(),
): Promise<Verifier> {
  const [embedder, compare] = await Promise.all([
    pooledEmbedder(models, sessions),
    SessionPool.open(models.compare, 1),
  ]);
  return {
    ...embedder,
    async compare(anchors, verifications, count) {
      const shape = [count, models.embeddingSize];
      const results = await compare.run(pairInputs(COMPARE, shape, anchors, verifications));
      return floats(results.get(COMPARE.classifier)!);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([embedder[Symbol.asyncDispose](), compare.close()]);
    },
  };
}

/**
 * A verifier from a network and its weights, with one embedding session per core.
 * @param state a checkpoint's state, or the weights alone.
 * @throws FaceError `CHECKPOINT_INVALID` when a weight is missing, `CHECKPOINT_MISMATCH` when one has another shape.
 */
export async function networkVerifier(config: NetworkSettings, state: TensorMap): Promise<Verifier> {
  const model = modelConfigOf(config);
  const frozen = inferenceWeights(config, state);
  const graphs = inferenceGraphs(model);
  return await pooledVerifier({
    image: model.input,
    embeddingSize: embeddingSizeOf(model),
    embed: lower(graphs.embed, { frozen }).bytes,
    rows: rowsAtATime(Object.values(graphs.embed.outputs)),
    compare: lower(graphs.compare, { frozen }).bytes,
  });
}

/** The embeddings of a network whose head is not fitted yet, with one session per core. */
export async function networkEmbedder(config: NetworkSettings, state: TensorMap): Promise<Embedder> {
  const model = modelConfigOf(config);
  const graph = inferenceGraphs(model).embed;
  const { bytes } = lower(graph, { frozen: averagedState(state) });
  const rows = rowsAtATime(Object.values(graph.outputs));
  return await pooledEmbedder(
    { image: model.input, embeddingSize: embeddingSizeOf(model), embed: bytes, rows },
    availableParallelism(),
  );
}
