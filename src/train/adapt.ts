/** @file Adapts a pretrained network to people: fits projection, head and probabilities to its embeddings, or keeps their cosine. */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPARE } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { writeError } from "../base/files.ts";
import { countText, type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import { findDatasetFaces, withoutUnused } from "../data/dataset-faces.ts";
import type { Identity, ImageRef } from "../data/identity.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { embedImages, selectRows } from "../evaluate/score-pairs.ts";
import { PROJECTION } from "../model/backbone.ts";
import { networkNamed } from "../model/networks.ts";
import type { Embedder, Verifier } from "../model/verifier.ts";
import { fitLogistic, type LogisticFit } from "../nn/logistic-fit.ts";
import {
  type LabelledEmbeddings,
  type Projection,
  pldaProjection,
  pldaStatistics,
  project,
} from "../nn/plda.ts";
import { lower } from "../onnx/lower/lower.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";
import { START, writeCheckpoint } from "./checkpoint.ts";
import { chooseFit, type FitChoice, PLAIN } from "./choose-fit.ts";
import { modelConfigOf, type SettledConfig, settingsOf } from "./config.ts";
import { cachedEmbedder } from "./embedding-cache.ts";
import { type EmbeddedPairs, fitHead } from "./fit-head.ts";
import { networkEmbedder } from "./inference.ts";
import { BEST_CHECKPOINT, RUN_LOG } from "./listeners.ts";
import { faceProgress, openPeople, type People, sayLeftOut } from "./people.ts";
import { pretrainedWeights } from "./pretrained.ts";
import { inferenceGraphs } from "./step.ts";

/** People with two images below which nobody is held out, since nothing can be fitted to so few. */
export const LEAST_FITTED = 8;
/** Pairs of held-out people for probabilities and thresholds, of one person and of two. */
export const CALIBRATION_PAIRS = 20_000;
/** Pairs of two held-out people that replace the pack's own thresholds for the plain cosine: those of a rate of 0.001. */
const OWN_THRESHOLDS = 10_000;

/** The log odds of the pack's cosine: a logistic fit to the 3,600 pairs of folds 1 to 6 of LFW. */
export const PACK_ODDS: Omit<LogisticFit, "loss"> = { slope: 34.11, offset: -11.37 };

const EMBEDDINGS_FILE = "embeddings.txt";
const SAY_EVERY_MS = 10_000;

/** The result of an adaptation. */
export interface Adaptation {
  readonly choice: FitChoice;
  /** The log odds of the cosine, where the pack's own thresholds hold; absent where the people's own do. */
  readonly packOdds?: Omit<LogisticFit, "loss">;
  /** The adapted model, which takes known embeddings from the run's folder. */
  openVerifier(): Promise<Verifier>;
}

/** The configuration, in which nobody is held out of too few people. */
export async function adaptedConfig(config: SettledConfig, log: Log): Promise<SettledConfig> {
  const { pretrained } = networkNamed(config.model);
  if (pretrained === undefined) {
    throw new FaceError("CONFIG_INVALID", `the network ${config.model} has no trained weights to keep`, {
      hint: "use `model` sface, or leave out `frozen` and `finetune`",
    });
  }
  if (config.excludePairs !== undefined) return config;
  const { split } = await openPeople({ ...config, validationFraction: 0, testFraction: 0 }, log, {
    leastTrained: 0,
  });
  const pairable = split.train.filter(({ images }) => images.length >= 2).length;
  return pairable < LEAST_FITTED ? { ...config, validationFraction: 0, testFraction: 1 } : config;
}

/** The people; faces are found of those to fit to and to choose thresholds on. Who has one image teaches nothing. */
export async function adaptedPeople(
  config: SettledConfig,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<People> {
  const people = await openPeople(config, log, { leastTrained: 0 });
  const { validation, test } = people.split;
  const train = people.split.train.filter(({ images }) => images.length >= 2);
  if (config.faces === "none") return { ...people, split: { train, validation, test } };
  const settings = settingsOf(config);
  const { strict } = config;
  const onProgress = faceProgress(log);
  const leftOut = await findDatasetFaces([...train, ...validation], {
    settings,
    log,
    strict,
    signal,
    onProgress,
  });
  sayLeftOut(log, leftOut);
  const split = {
    train: withoutUnused(train, leftOut),
    validation: withoutUnused(validation, leftOut),
    test,
  };
  return { ...people, split, leftOut };
}

/** Embeds images once, with progress. */
export function embedAll(
  embedder: Embedder,
  loader: Loader,
  images: readonly ImageRef[],
  { log, signal, folder }: { log: Log; signal: AbortSignal | undefined; folder: string },
) {
  let done = 0;
  let said = Date.now();
  return embedImages(embedder, loader, images, (count) => {
    done += count;
    if (signal?.aborted) {
      throw new FaceError(
        "INTERRUPTED",
        `stopped after ${countText(done)} of ${countText(images.length)} embeddings`,
        {
          hint: `continue with: faceid train --resume ${folder}`,
        },
      );
    }
    if (Date.now() - said < SAY_EVERY_MS) return;
    said = Date.now();
    log.info(`embedded ${countText(done)} of ${countText(images.length)} faces`);
  });
}

/** Embeddings by image. */
export interface Embedded {
  readonly values: Float32Array;
  readonly size: number;
  rowOf(image: ImageRef): number | undefined;
}

export function labelled(
  { values, size, rowOf }: Embedded,
  people: readonly Identity[],
  most: number,
): LabelledEmbeddings {
  const rows = people.flatMap(({ images }, label) =>
    images.slice(0, most).flatMap((image) => {
      const row = rowOf(image);
      return row === undefined ? [] : [{ row, label }];
    }),
  );
  return {
    values: selectRows(
      values,
      size,
      rows.map(({ row }) => row),
    ),
    size,
    labels: rows.map(({ label }) => label),
  };
}

/** Different pairs of people: all of each kind where there are at most `count`, otherwise as many at random. */
export function allPairs(people: readonly Identity[], count: number, random: Random): Pair[] {
  return [1, 0].flatMap((positiveFraction) => {
    const same = positiveFraction === 1;
    const some = { count, random: random.fork("kind", positiveFraction), positiveFraction };
    return countOf(people, same) <= count ? everyPair(people, same) : evaluationPairs(people, some);
  });
}

function countOf(people: readonly Identity[], same: boolean): number {
  const pairs = (images: number) => (images * (images - 1)) / 2;
  const ofOne = people.reduce((sum, { images }) => sum + pairs(images.length), 0);
  return same ? ofOne : pairs(people.reduce((sum, { images }) => sum + images.length, 0)) - ofOne;
}

function everyPair(people: readonly Identity[], same: boolean): Pair[] {
  return people.flatMap(({ images }, person) => {
    const later = same ? [] : people.slice(person + 1).flatMap((other) => other.images);
    return images.flatMap((left, i) =>
      (same ? images.slice(i + 1) : later).map((right) => ({ left, right, same })),
    );
  });
}

/** Pairs of validation people by their embeddings. */
export function heldOutPairs(embedded: Embedded, people: readonly Identity[], seed: number): EmbeddedPairs {
  const known = people
    .map(({ name, images }) => ({
      name,
      images: images.filter((image) => embedded.rowOf(image) !== undefined),
    }))
    .filter(({ images }) => images.length > 0);
  const canPair = known.length >= 2 && known.some(({ images }) => images.length >= 2);
  const pairs = canPair ? allPairs(known, CALIBRATION_PAIRS, new Random(seed).fork("head pairs")) : [];
  const side = (name: "left" | "right") =>
    selectRows(
      embedded.values,
      embedded.size,
      pairs.map((pair) => embedded.rowOf(pair[name])!),
    );
  return { left: side("left"), right: side("right"), same: pairs.map(({ same }) => same) };
}

export function pairCosines({ left, right, same }: EmbeddedPairs): Float64Array {
  const size = left.length / same.length;
  return Float64Array.from(same, (_, pair) => {
    let sum = 0;
    for (let i = pair * size; i < (pair + 1) * size; i++) sum += left[i]! * right[i]!;
    return sum;
  });
}

/** The head whose log odds are `slope · cosine + offset`: the squared distance is 2 − 2 · cosine. */
export const cosineHead = ({ slope, offset }: Omit<LogisticFit, "loss">): [string, Tensor][] => [
  ["classifier/kernel", float32([1, 1], [-slope / 2])],
  ["classifier/bias", float32([1], [slope + offset])],
];

/** What was fitted, and its weights beside those of the backbone. */
interface Fitted {
  readonly projection?: Projection;
  readonly head: TensorMap;
  readonly choice: FitChoice;
  readonly packOdds?: Omit<LogisticFit, "loss">;
}

function plainFit(choice: FitChoice, heldOut: EmbeddedPairs): Fitted {
  const negatives = heldOut.same.filter((same) => !same).length;
  const own = negatives < OWN_THRESHOLDS ? undefined : fitLogistic(pairCosines(heldOut), heldOut.same);
  const plain = { ...choice, chosen: PLAIN };
  if (own !== undefined && own.slope > 0) return { choice: plain, head: new Map(cosineHead(own)) };
  return { choice: plain, head: new Map(cosineHead(PACK_ODDS)), packOdds: PACK_ODDS };
}

async function fitted(
  choice: FitChoice,
  embeddings: LabelledEmbeddings,
  heldOut: EmbeddedPairs,
  seed: number,
): Promise<Fitted> {
  const { projection: shrinkage, head } = choice.chosen;
  const canCalibrate = heldOut.same.includes(true) && heldOut.same.includes(false);
  if (shrinkage === undefined || !canCalibrate) return plainFit(choice, heldOut);
  const { size } = embeddings;
  const projection = pldaProjection(pldaStatistics(embeddings), size, shrinkage);
  const projected = (values: Float32Array) => project(projection, values, size);
  const held = { left: projected(heldOut.left), right: projected(heldOut.right), same: heldOut.same };
  if (head === "dense") {
    const { weights } = await fitHead({ ...embeddings, values: projected(embeddings.values) }, held, {
      seed,
    });
    return { projection, head: weights, choice };
  }
  const odds = fitLogistic(pairCosines(held), held.same);
  return odds.slope > 0 ? { projection, head: new Map(cosineHead(odds)), choice } : plainFit(choice, heldOut);
}

/** The adapted model on known embeddings of the backbone. */
async function openAdapted(
  config: SettledConfig,
  state: TensorMap,
  { projection }: Fitted,
  openEmbedder: () => Promise<Embedder>,
): Promise<Verifier> {
  const compare = await SessionPool.open(
    lower(inferenceGraphs(modelConfigOf(config)).compare, { frozen: state }).bytes,
    1,
  );
  const embedder = await openEmbedder();
  const { embeddingSize: size } = embedder;
  return {
    ...embedder,
    async embed(images, count) {
      const values = await embedder.embed(images, count);
      return projection === undefined ? values : project(projection, values, size);
    },
    async compare(anchors, verifications, count) {
      const inputs = new Map([
        [COMPARE.anchor, float32([count, size], anchors)],
        [COMPARE.verification, float32([count, size], verifications)],
      ]);
      return floats((await compare.run(inputs)).get(COMPARE.classifier)!);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([embedder[Symbol.asyncDispose](), compare.close()]);
    },
  };
}

/** Appends what was tried to the run's log. */
export async function logFit(folder: string, kind: "adapt" | "finetune", tried: object): Promise<void> {
  const path = join(folder, RUN_LOG);
  const line = JSON.stringify({ kind, time: new Date().toISOString(), ...tried });
  await appendFile(path, `${line}\n`).catch((error: unknown) => {
    throw writeError(path, error);
  });
}

/** The pretrained network, which is asked once for each image of a run, also in one that goes on after a stop. */
export async function pretrainedEmbedder(
  folder: string,
  config: SettledConfig,
  backbone: TensorMap,
): Promise<Embedder> {
  const embedder = await networkEmbedder({ ...config, projectionDim: 0 }, backbone);
  return await cachedEmbedder(embedder, join(folder, EMBEDDINGS_FILE));
}

/**
 * Adapts a network to people and writes it as the run's best checkpoint. What is fitted is kept only if it beats the cosine
 * of the network's embeddings on people held out in turn.
 * @param config as `adaptedConfig` answers it.
 * @throws FaceError `INTERRUPTED` on the signal; embeddings made so far are kept.
 */
export async function adapt(
  folder: string,
  config: SettledConfig,
  { split: { train, validation } }: People,
  { log = silentLog, signal }: { log?: Log | undefined; signal?: AbortSignal | undefined },
): Promise<Adaptation> {
  const backbone = await pretrainedWeights(config.model, config.imageShape, log);
  const openEmbedder = () => pretrainedEmbedder(folder, config, backbone);
  const { maxImagesPerId, seed } = config;
  const images = [...train, ...validation].flatMap((person) => person.images.slice(0, maxImagesPerId));
  await using loader = new Loader({ settings: settingsOf(config), strict: config.strict, log });
  await using embedder = await openEmbedder();
  const { values, size, present } = await embedAll(embedder, loader, images, { log, signal, folder });
  const rows = new Map(images.map((image, row) => [image.index, row]));
  const rowOf = (image: ImageRef) => {
    const row = rows.get(image.index);
    return row !== undefined && present[row] === 1 ? row : undefined;
  };
  const embedded = { values, size, rowOf };
  const embeddings = labelled(embedded, train, maxImagesPerId);
  const tried = await chooseFit(embeddings, { seed });
  const result = await fitted(tried, embeddings, heldOutPairs(embedded, validation, seed), seed);
  await logFit(folder, "adapt", result.choice);
  const { projection, choice, packOdds } = result;
  const state = new Map<string, Tensor>([
    ...backbone,
    ...(projection === undefined
      ? []
      : ([
          [`${PROJECTION}/kernel`, float32([size, size], projection.kernel)],
          [`${PROJECTION}/bias`, float32([size], projection.bias)],
        ] as const)),
    ...result.head,
  ]);
  const adapted = { ...config, projectionDim: projection === undefined ? 0 : size, head: choice.chosen.head };
  await writeCheckpoint(join(folder, BEST_CHECKPOINT), { config: adapted, progress: START, state });
  return {
    choice,
    ...(packOdds === undefined ? {} : { packOdds }),
    openVerifier: () => openAdapted(adapted, state, result, openEmbedder),
  };
}
