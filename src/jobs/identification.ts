/** @file Measures a model at identification on an open set of a dataset's people. */
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import type { LeftOut } from "../data/left-out.ts";
import type { EmbeddedPerson, Template } from "../evaluate/identification.ts";
import type { FaceCounts } from "../evaluate/metrics.ts";
import { measureOpenSet, type OpenSetReport } from "../evaluate/open-set.ts";
import { embedImages } from "../evaluate/score-pairs.ts";
import type { Verifier } from "../model/verifier.ts";
import type { OpenedModel } from "../verify/open-model.ts";
import {
  type EvaluateOptions,
  evaluateOptions,
  faceCounts,
  type MeasureOptions,
  measuredPeople,
  measureOptions,
  openLoader,
  openMeasured,
  warnLeftOut,
  withOrigin,
} from "./evaluate.ts";

export interface IdentificationOptions extends Omit<EvaluateOptions, "pairs"> {
  /** How many times the people are divided anew. Default 5. */
  readonly splits?: number | undefined;
}

export interface IdentificationMeasurement extends OpenSetReport, Partial<FaceCounts> {
  readonly dataset: string;
  /** What the dataset's folder holds that was not used, by reason. */
  readonly leftOut: readonly LeftOut[];
}

/** Pairs in one run of the head. */
const COMPARE_BATCH = 1024;

/** Directions of unit length are compared by their cosine. */
export const compareCosines = async (probe: Float32Array, templates: readonly Float32Array[]) =>
  templates.map((template) => {
    let sum = 0;
    for (let i = 0; i < probe.length; i++) sum += probe[i]! * template[i]!;
    return sum;
  });

/** A head that was trained on pairs compares them. */
const compareByHead =
  (verifier: Verifier) =>
  async (probe: Float32Array, templates: readonly Float32Array[]): Promise<Float32Array> => {
    const scores = new Float32Array(templates.length);
    for (let from = 0; from < templates.length; from += COMPARE_BATCH) {
      const batch = templates.slice(from, from + COMPARE_BATCH);
      const [left, right] = [batch.map(() => probe), batch].map((rows) => {
        const values = new Float32Array(rows.length * probe.length);
        for (const [i, row] of rows.entries()) values.set(row, i * probe.length);
        return values;
      });
      scores.set(await verifier.compare(left!, right!, batch.length), from);
    }
    return scores;
  };

function requireEmbeddings(model: string, { verifier }: OpenedModel): Verifier {
  if (!("score" in verifier)) return verifier;
  throw new FaceError("MODEL_UNSUPPORTED", `${model} compares images and gives no embeddings`, {
    hint: "measure the SavedModel or the run that it was made from",
  });
}

/** Measures a model that is open already; see `evaluateIdentification`. */
export async function measureIdentified(
  model: string,
  opened: OpenedModel,
  { splits, data, log, onProgress }: IdentificationOptions,
): Promise<IdentificationMeasurement> {
  const verifier = requireEmbeddings(model, opened);
  const options: MeasureOptions = { ...measureOptions(model, opened, data), log };
  const { dataset, split } = await measuredPeople(options);
  if (log !== undefined) warnLeftOut(dataset, log);
  await using loader = openLoader(options);
  const images = split.test.flatMap((person) => person.images);
  let done = 0;
  const { values, size, present } = await embedImages(verifier, loader, images, (count) => {
    done += count;
    onProgress?.({ images: done, totalImages: images.length });
  });
  let next = 0;
  const people = split.test.map(({ name, images: own }): EmbeddedPerson => {
    const rows = own.map(() => next++).filter((row) => present[row] === 1);
    return { name, embeddings: rows.map((row) => values.slice(row * size, (row + 1) * size)) };
  });
  const isCosine = opened.pack !== undefined;
  const template: Template = isCosine ? "centroid" : "best";
  const report = await measureOpenSet(people, {
    template,
    splits,
    seed: options.config.seed,
    compare: isCosine ? compareCosines : compareByHead(verifier),
  });
  const { name, leftOut = [] } = dataset;
  return { dataset: name, ...report, ...faceCounts(options, loader), leftOut };
}

/**
 * Measures identification on people that the model was not trained on: half of them are enrolled, the others are strangers. A model
 * pack is measured on all people.
 * @param model a path as for `loadModel`, or the name of a pack.
 * @throws FaceError as `evaluate`; `DATASET_INVALID` for fewer than two people with several photographs; `MODEL_UNSUPPORTED` for a
 *   model without embeddings.
 */
export async function evaluateIdentification(
  model: string,
  options: IdentificationOptions = {},
): Promise<IdentificationMeasurement> {
  checkPath("evaluateIdentification, the model", model);
  const { pairs: _, ...known } = evaluateOptions;
  checkOptions(
    "evaluateIdentification",
    z.strictObject({ ...known, splits: given.count.optional() }),
    options,
  );
  const opened = await openMeasured(model, options);
  await using _verifier = opened.verifier;
  return await withOrigin(options.data, () => measureIdentified(model, opened, options));
}
