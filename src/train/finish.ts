/** @file The second stage of an ensemble run: joins the trained backbones, fits Gabor features, projection and head. */
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32, type Tensor, type TensorMap } from "../base/tensor.ts";
import type { Identity } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import { evaluationPairs } from "../data/pairs.ts";
import { embedImages, selectRows } from "../evaluate/score-pairs.ts";
import { memberName, PROJECTION } from "../model/backbone.ts";
import { siamese } from "../model/siamese.ts";
import type { Embedder } from "../model/verifier.ts";
import { fitPlda, type LabelledEmbeddings, type Projection, project } from "../nn/plda.ts";
import { type Checkpoint, type Progress, readCheckpoint, START, writeCheckpoint } from "./checkpoint.ts";
import { modelConfigOf, type SettledConfig } from "./config.ts";
import { fitGabor } from "./fit-gabor.ts";
import { type EmbeddedPairs, fitHead } from "./fit-head.ts";
import { networkEmbedder } from "./inference.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "./listeners.ts";
import type { People } from "./people.ts";
import { averagedState } from "./weight-averages.ts";

/** Pairs of validation people for calibrating the head's probabilities. */
const HEAD_PAIRS = 4000;

/** The folder of an ensemble's backbone within the run's folder, named as earlier versions did. */
export const memberFolder = (folder: string, index: number): string => join(folder, `view-${index + 1}`);

/** The weights of all backbones under their prefixes; moving averages where they were kept. */
export function joinedBackbones(config: SettledConfig, backbones: readonly Checkpoint[]): TensorMap {
  const model = modelConfigOf({ ...config, projectionDim: 0 });
  const { net } = siamese(model, { mode: "inference", batch: 1 });
  const states = backbones.map(({ state }) => averagedState(state));
  const joined = new Map<string, Tensor>();
  states.forEach((state, index) => {
    const prefix = `${memberName(index)}/`;
    for (const { name } of net.weights.filter((weight) => weight.name.startsWith(prefix))) {
      const value = state.get(name.slice(prefix.length));
      if (value === undefined)
        throw new FaceError("CHECKPOINT_INVALID", `the checkpoint of ${prefix} lacks ${name}`);
      joined.set(name, value);
    }
  });
  return joined;
}

/** Embeddings of the people trained on, at most `maxImagesPerId` of each. */
async function embedPeople(
  embedder: Embedder,
  loader: Loader,
  people: readonly Identity[],
  maxImagesPerId: number,
): Promise<LabelledEmbeddings> {
  const eligible = people.filter(({ images }) => images.length >= 2);
  const listed = eligible.flatMap(({ images }, label) =>
    images.slice(0, maxImagesPerId).map((image) => ({ image, label })),
  );
  const { values, size, present } = await embedImages(
    embedder,
    loader,
    listed.map(({ image }) => image),
  );
  const rows = listed.map((_, row) => row).filter((row) => present[row] === 1);
  return { values: selectRows(values, size, rows), size, labels: rows.map((row) => listed[row]!.label) };
}

/** Projected embeddings of pairs of validation people. */
async function embedPairs(
  embedder: Embedder,
  loader: Loader,
  { seed }: SettledConfig,
  people: readonly Identity[],
  projection: Projection,
): Promise<EmbeddedPairs> {
  const random = new Random(seed).fork("head pairs");
  const pairs = evaluationPairs(people, { count: HEAD_PAIRS, random });
  const images = [
    ...new Map(
      pairs.flatMap(({ left, right }) => [left, right]).map((image) => [image.index, image]),
    ).values(),
  ];
  const { values, size, present } = await embedImages(embedder, loader, images);
  const projected = project(projection, values, size);
  const rows = new Map(images.map((image, row) => [image.index, row]));
  const readable = pairs.filter(({ left, right }) =>
    [left, right].every(({ index }) => present[rows.get(index)!] === 1),
  );
  const side = (name: "left" | "right") =>
    selectRows(
      projected,
      projection.bias.length,
      readable.map((pair) => rows.get(pair[name].index)!),
    );
  return { left: side("left"), right: side("right"), same: readable.map(({ same }) => same) };
}

function joinedProgress(backbones: readonly Checkpoint[]): Progress {
  return {
    ...START,
    epoch: Math.max(...backbones.map(({ progress }) => progress.epoch)),
    step: backbones.reduce((sum, { progress }) => sum + progress.step, 0),
    history: backbones.flatMap(({ progress }) => progress.history),
  };
}

/**
 * Makes one network of the backbones in a run's folder and writes it as the run's best checkpoint: fits the Gabor features,
 * the PLDA projection and the head to the people trained on, then calibrates the head on the validation people.
 */
export async function finishRun(
  folder: string,
  config: SettledConfig,
  { split }: People,
  loader: Loader,
  log: Log,
): Promise<void> {
  const { crops, projectionDim: length, maxImagesPerId, seed } = config;
  const backbones = await Promise.all(
    crops.map((_, index) => readCheckpoint(join(memberFolder(folder, index), LAST_CHECKPOINT))),
  );
  const progress = joinedProgress(backbones);
  const backboneState = new Map([
    ...joinedBackbones(config, backbones),
    ...(await fitGabor(config, loader, split.train)),
  ]);
  await using embedder = await networkEmbedder({ ...config, projectionDim: 0 }, backboneState);
  const embeddings = await embedPeople(embedder, loader, split.train, maxImagesPerId);
  const projection = fitPlda(embeddings, length);
  const projected = {
    ...embeddings,
    values: project(projection, embeddings.values, embeddings.size),
    size: length,
  };
  const heldOut = await embedPairs(embedder, loader, config, split.validation, projection);
  const head = await fitHead(projected, heldOut, { seed });
  log.info("head", head.losses);
  const state = new Map<string, Tensor>([
    ...backboneState,
    [`${PROJECTION}/kernel`, float32([embeddings.size, length], projection.kernel)],
    [`${PROJECTION}/bias`, float32([length], projection.bias)],
    ...head.weights,
  ]);
  await writeCheckpoint(join(folder, BEST_CHECKPOINT), { config, progress, state });
}
