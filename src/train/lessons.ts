/** @file What a student is taught: a teacher's embeddings of its photographs, and of two faces in one. */
import { FaceError } from "../base/errors.ts";
import { countText, type Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { LabelledBatch, LabelledImage, Loader } from "../data/loader.ts";
import type { Pair } from "../data/pairs.ts";
import { accuracyAt, bestThreshold } from "../evaluate/roc.ts";
import { embedImages } from "../evaluate/score-pairs.ts";
import { scoredPairs } from "../evaluate/scores.ts";
import { EMBEDDING_SIDE } from "../faces/embedder.ts";
import { embeddingSizeOf } from "../model/model-config.ts";
import type { Embedder } from "../model/verifier.ts";
import { modelConfigOf, type SettledConfig } from "./config.ts";
import type { Validation } from "./loop.ts";
import type { People } from "./people.ts";
import { TEACHER_SIZE, Teacher } from "./teacher.ts";

/** A batch with what the teacher gives for each image. */
export interface TaughtBatch extends LabelledBatch {
  /** `[count, size]`, each of length 1. */
  readonly embeddings: Float32Array;
}

/** Part of the second face in a mixture of two. */
const MIXED = [0.3, 0.7] as const;
/** Batches whose embeddings the teacher computes ahead of the one in use. */
const AHEAD = 3;

const SAY_EVERY_MS = 10_000;

function checkStudent(config: SettledConfig): void {
  const { imageShape, sampling } = config;
  const size = embeddingSizeOf({ ...modelConfigOf(config), projectionDim: 0 });
  const refuse = (what: string, hint: string) => {
    throw new FaceError("CONFIG_INVALID", `a teacher ${what}`, { hint });
  };
  if (sampling !== "people") refuse("goes with batches of images, got pairs", "set `sampling` people");
  if (imageShape.some((side) => side !== EMBEDDING_SIDE)) {
    refuse(
      `looks at ${EMBEDDING_SIDE}x${EMBEDDING_SIDE} pixels, got ${imageShape.join("x")}`,
      `set \`imageShape\` ${EMBEDDING_SIDE},${EMBEDDING_SIDE}`,
    );
  }
  if (size !== TEACHER_SIZE) {
    refuse(
      `gives ${TEACHER_SIZE} numbers, the network ${config.model} gives ${size}`,
      "set `model` mobilefacenet, or another network with an embedding of that size",
    );
  }
}

/** The lessons of one run. */
export class Lessons implements AsyncDisposable {
  readonly #teacher: Teacher;
  readonly #mixed: number;
  readonly #loader: Loader;
  /** By the index of the image. */
  readonly #embeddings: ReadonlyMap<number, Float32Array>;

  constructor(
    teacher: Teacher,
    mixed: number,
    loader: Loader,
    embeddings: ReadonlyMap<number, Float32Array>,
  ) {
    this.#teacher = teacher;
    this.#mixed = mixed;
    this.#loader = loader;
    this.#embeddings = embeddings;
  }

  /** Lays other faces over some of the images of an epoch. */
  mix(images: readonly LabelledImage[], random: Random): LabelledImage[] {
    return images.map((item) => {
      if (!random.chance(this.#mixed)) return item;
      const { image } = random.pick(images);
      return { ...item, over: { image, weight: random.between(...MIXED) } };
    });
  }

  /** Adds the teacher's embeddings: of a photograph those of its undisturbed face, of a mixture those of its very pixels. */
  async *teach(batches: AsyncIterable<LabelledBatch>): AsyncGenerator<TaughtBatch> {
    const waiting: Promise<TaughtBatch>[] = [];
    for await (const batch of batches) {
      const taught = this.#taught(batch);
      // An error is thrown when the batch is due, not before.
      taught.catch(() => undefined);
      waiting.push(taught);
      if (waiting.length > AHEAD) yield await waiting.shift()!;
    }
    for (const taught of waiting) yield await taught;
  }

  async #taught(batch: LabelledBatch): Promise<TaughtBatch> {
    const { images, items, count } = batch;
    const pixels = images.length / count;
    const embeddings = new Float32Array(count * TEACHER_SIZE);
    const rows = items.map(async ({ image, over }, row) => {
      const embedding =
        over === undefined
          ? this.#embeddings.get(image.index)!
          : await this.#teacher.embedOnce(images.subarray(row * pixels, (row + 1) * pixels));
      embeddings.set(embedding, row * TEACHER_SIZE);
    });
    await Promise.all(rows);
    return { ...batch, embeddings };
  }

  /**
   * Measures a student on people held out.
   * @param onImages called with the number of images of each batch when it is done.
   * @returns one minus the mean cosine to the teacher's embeddings as the loss; the accuracy of the student's cosines on
   *   the pairs, at the best threshold.
   */
  async examine(
    student: Embedder,
    pairs: readonly Pair[],
    onImages?: (count: number) => void,
  ): Promise<Validation> {
    const images = [...new Set(pairs.flatMap(({ left, right }) => [left, right]))];
    const { values, size, present } = await embedImages(student, this.#loader, images, onImages);
    const units = images.map((_, row) => unit(values.subarray(row * size, (row + 1) * size)));
    const rowOf = new Map(images.map((image, row) => [image, row]));
    const known = images.flatMap(({ index }, row) => {
      const wanted = this.#embeddings.get(index);
      return wanted === undefined || present[row] === 0 ? [] : [dot(units[row]!, wanted)];
    });
    const readable = pairs.filter(
      ({ left, right }) => present[rowOf.get(left)!] && present[rowOf.get(right)!],
    );
    const cosines = Float64Array.from(readable, ({ left, right }) =>
      dot(units[rowOf.get(left)!]!, units[rowOf.get(right)!]!),
    );
    const scored = scoredPairs(
      cosines,
      readable.map(({ same }) => same),
    );
    return {
      loss: 1 - known.reduce((sum, cosine) => sum + cosine, 0) / known.length,
      accuracy: accuracyAt(scored, bestThreshold(scored)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#teacher[Symbol.asyncDispose]();
  }
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}

/**
 * Opens the teacher of a run and has it embed the photographs of training and validation people.
 * @returns undefined for a run without a teacher.
 * @throws FaceError `CONFIG_INVALID` for settings that do not go with a teacher; as `Teacher.open`; `INTERRUPTED`.
 */
export async function openLessons(
  config: SettledConfig,
  { split }: People,
  loader: Loader,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal | undefined },
): Promise<Lessons | undefined> {
  if (config.teacher === undefined) return undefined;
  checkStudent(config);
  const teacher = await Teacher.open(config.teacher, log);
  const images = [...split.train, ...split.validation].flatMap((person) => person.images);
  let said = Date.now();
  const onProgress = (done: number, total: number) => {
    if (Date.now() - said < SAY_EVERY_MS) return;
    said = Date.now();
    log.info(`${config.teacher} has embedded ${countText(done)} of ${countText(total)} photographs`);
  };
  try {
    return new Lessons(
      teacher,
      config.teacherMix,
      loader,
      await teacher.embedAll(images, loader, { signal, onProgress }),
    );
  } catch (error) {
    await teacher[Symbol.asyncDispose]();
    throw error;
  }
}
