/** @file The end of a run in two stages: joins the trained backbones with the texture view, fits the metric and the head. */
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32, type Tensor, type TensorMap } from "../base/tensor.ts";
import type { Identity, ImageRef } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import { evaluationPairs } from "../data/pairs.ts";
import { embedImages } from "../evaluate/score-pairs.ts";
import { METRIC, viewName } from "../model/backbone.ts";
import { networkNamed } from "../model/networks.ts";
import { siamese } from "../model/siamese.ts";
import type { Embedder } from "../model/verifier.ts";
import { applyMetric, fitMetric, type LabelledEmbeddings, type Metric } from "../nn/person-metric.ts";
import { type Checkpoint, type Progress, readCheckpoint, START, writeCheckpoint } from "./checkpoint.ts";
import type { SettledConfig } from "./config.ts";
import { type EmbeddedPairs, fitHead } from "./fit-head.ts";
import { fitTexture } from "./fit-texture.ts";
import { networkEmbedder } from "./inference.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "./listeners/checkpoints.ts";
import { networkImageOf, type People } from "./people.ts";
import { averagedState } from "./weight-averages.ts";

/** Pairs of validation people that the head's probabilities are fitted to. */
const HEAD_PAIRS = 4000;

/** Where the backbone of a view is trained. */
export const viewFolder = (folder: string, view: number): string => join(folder, `view-${view + 1}`);

/** The weights of all backbones, each under its view's name, as they are used: averaged where averages were kept. */
export function joinedBackbones(config: SettledConfig, backbones: readonly Checkpoint[]): TensorMap {
  const image = { ...networkImageOf(config), metric: 0 };
  const { net } = siamese(networkNamed(config.model), image, { mode: "inference", batch: 1 });
  const states = backbones.map(({ state }) => averagedState(state));
  const joined = new Map<string, Tensor>();
  states.forEach((state, view) => {
    const prefix = `${viewName(view)}/`;
    for (const { name } of net.weights.filter((weight) => weight.name.startsWith(prefix))) {
      const value = state.get(name.slice(prefix.length));
      if (value === undefined)
        throw new FaceError("CHECKPOINT_INVALID", `the checkpoint of ${prefix} lacks ${name}`);
      joined.set(name, value);
    }
  });
  return joined;
}

/** Embeddings of the people trained on, at most `mostPhotos` of each. */
async function embedPeople(
  embedder: Embedder,
  loader: Loader,
  people: readonly Identity[],
  mostPhotos: number,
): Promise<LabelledEmbeddings> {
  const told = people.filter(({ images }) => images.length >= 2);
  const listed = told.flatMap(({ images }, label) =>
    images.slice(0, mostPhotos).map((image) => ({ image, label })),
  );
  const { values, size, present } = await embedImages(
    embedder,
    loader,
    listed.map(({ image }) => image),
  );
  const rows = listed.map((_, row) => row).filter((row) => present[row] === 1);
  const kept = new Float32Array(rows.length * size);
  rows.forEach((row, to) => {
    kept.set(values.subarray(row * size, (row + 1) * size), to * size);
  });
  return { values: kept, size, labels: rows.map((row) => listed[row]!.label) };
}

/** Mapped embeddings of pairs of validation people. */
async function embedPairs(
  embedder: Embedder,
  loader: Loader,
  { seed }: SettledConfig,
  people: readonly Identity[],
  metric: Metric,
): Promise<EmbeddedPairs> {
  const random = new Random(seed).fork("head pairs");
  const pairs = evaluationPairs(people, { count: HEAD_PAIRS, random });
  const images = [
    ...new Map(
      pairs.flatMap(({ left, right }) => [left, right]).map((image) => [image.index, image]),
    ).values(),
  ];
  const { values, size, present } = await embedImages(embedder, loader, images);
  const mapped = applyMetric(metric, values, size);
  const length = metric.bias.length;
  const rows = new Map(images.map((image, row) => [image.index, row]));
  const readable = pairs.filter(({ left, right }) =>
    [left, right].every(({ index }) => present[rows.get(index)!] === 1),
  );
  const side = (pick: (pair: (typeof pairs)[number]) => ImageRef) => {
    const out = new Float32Array(readable.length * length);
    readable.forEach((pair, at) => {
      const row = rows.get(pick(pair).index)!;
      out.set(mapped.subarray(row * length, (row + 1) * length), at * length);
    });
    return out;
  };
  return {
    left: side(({ left }) => left),
    right: side(({ right }) => right),
    same: readable.map(({ same }) => same),
  };
}

/** What all backbones' runs came to, one after the other. */
function joinedProgress(backbones: readonly Checkpoint[]): Progress {
  return {
    ...START,
    epoch: Math.max(...backbones.map(({ progress }) => progress.epoch)),
    step: backbones.reduce((sum, { progress }) => sum + progress.step, 0),
    history: backbones.flatMap(({ progress }) => progress.history),
  };
}

/**
 * Makes one network of the backbones in a run's folder: joins their embeddings with those of the texture views, fits the
 * metric to the people trained on and the head on top of it, and writes the run's best checkpoint.
 */
export async function finishRun(
  folder: string,
  config: SettledConfig,
  { split }: People,
  loader: Loader,
  log: Log,
): Promise<void> {
  const { views, metric: length, mostPhotos, seed } = config;
  const backbones = await Promise.all(
    views.map((_, view) => readCheckpoint(join(viewFolder(folder, view), LAST_CHECKPOINT))),
  );
  const progress = joinedProgress(backbones);
  const backboneState = new Map([
    ...joinedBackbones(config, backbones),
    ...(await fitTexture(config, loader, split.train)),
  ]);
  await using embedder = await networkEmbedder({ ...config, metric: 0 }, backboneState);
  const embeddings = await embedPeople(embedder, loader, split.train, mostPhotos);
  const metric = fitMetric(embeddings, length);
  const mapped = {
    ...embeddings,
    values: applyMetric(metric, embeddings.values, embeddings.size),
    size: length,
  };
  const heldOut = await embedPairs(embedder, loader, config, split.validation, metric);
  const head = await fitHead(mapped, heldOut, { seed });
  log.info("head", head.losses);
  const state = new Map<string, Tensor>([
    ...backboneState,
    [`${METRIC}/kernel`, float32([embeddings.size, length], metric.kernel)],
    [`${METRIC}/bias`, float32([length], metric.bias)],
    ...head.weights,
  ]);
  await writeCheckpoint(join(folder, BEST_CHECKPOINT), { config, progress, state });
}
