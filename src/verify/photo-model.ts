/** @file The library's `PhotoModel`: whole photographs to faces, embeddings and decisions. */

import { z } from "zod";
import { answeredRate, type CalibrationRecord } from "../artifact/calibration.ts";
import { madeBy, requireOrigin } from "../artifact/embedding-origin.ts";
import { type FalseAcceptRate, roundedScore } from "../artifact/rates.ts";
import { checkOptions, checkPhoto, given } from "../base/check-options.ts";
import { bothOf, FaceError } from "../base/errors.ts";
import {
  chooseFace,
  FACE_CHOICES,
  type FacePick,
  type FacePicks,
  isFacePick,
  pickOf,
  rivalWarning,
} from "../faces/choose.ts";
import { type Face, roundedFace } from "../faces/face.ts";
import type { FoundFaces } from "../faces/found-faces.ts";
import { isOpened, type OpenedPhotograph } from "../faces/opened-photograph.ts";
import type { FacePipeline } from "../faces/pipeline.ts";
import type { Pyramid } from "../faces/pyramid.ts";
import type { QualityLimits } from "../faces/quality-limits.ts";
import { DEFAULT_QUALITY_LIMITS, qualityWarnings, requireQuality } from "../faces/quality-limits.ts";
import { requireContent } from "../image/blank.ts";
import type { Pixels } from "../image/settings.ts";
import { requireDecision } from "./decision.ts";
import { type FaceComparer, noEmbeddings } from "./face-comparer.ts";
import { checkEmbedding, type Photo } from "./face-model.ts";
import { OpenCalls } from "./open-calls.ts";

/** A face in a photograph, with what makes it unfit to be compared, in words. */
export interface PhotoFace extends Face {
  /** Quality numbers beyond their limits; empty for a face fit to be compared. */
  readonly warnings: readonly string[];
}

/** A face that was compared. */
export interface ComparedFace extends PhotoFace {
  /** Its number in the list of `faces`, the surest first, from 1. */
  readonly number: number;
  /** How many faces the photograph shows. */
  readonly found: number;
}

/** The face of a photograph that was meant, as `compare` takes it. */
export interface ReadPhoto {
  /** Of the model that read it: the readings of two models cannot be compared. */
  readonly digest: string;
  /** Absent for a model that compares two crops and gives no embeddings, such as an 8-bit version. */
  readonly embedding?: Float32Array;
  /** Absent where the photograph was taken as a crop. */
  readonly face?: PhotoFace;
  /** Of the face among all of the photograph, the surest first, from 1; absent with it. */
  readonly number?: number;
  /** The other faces of the photograph, which were not meant. */
  readonly others: readonly Face[];
  /** How many faces the photograph shows; 1 where it was taken as a crop. */
  readonly count: number;
  /** What the model read. */
  readonly crop: Pixels;
  /** The whole photograph; absent where it was taken as a crop. */
  readonly photograph?: Pyramid;
  /** Of a picture that was taken as a crop: what makes it doubtful, with its name. */
  readonly warnings?: readonly string[];
}

/** The same with its embedding. */
export interface PhotoEmbedding extends ReadPhoto {
  readonly embedding: Float32Array;
}

/** What a similarity means. */
export interface PhotoDecision {
  /** Whether the similarity reaches the threshold. */
  readonly same: boolean;
  /** A cosine in [-1, 1] for a model pack, a probability in [0, 1] for an exported model. */
  readonly similarity: number;
  readonly threshold: number;
  /**
   * The calibrated rate whose threshold was used: the one that was asked for, or the next lower. Absent for a record without rates, whose
   * threshold is the one with the most right decisions.
   */
  readonly far?: number;
  /** Measured at the threshold; absent in older calibration records. */
  readonly falseAcceptRate?: FalseAcceptRate;
}

/** The answer to whether two photographs show one person. */
export interface PhotoVerification extends PhotoDecision {
  /** The pack's name or the model's path. */
  readonly model: string;
  /** The faces that were compared, one of each photograph; empty where the photographs were taken as crops. */
  readonly faces: readonly ComparedFace[];
  /** What makes pictures that were taken as crops doubtful, such as the size of a whole photograph; absent without a doubt. */
  readonly warnings?: readonly string[];
}

export interface PhotoOptions {
  /** Which face is meant where there are several: a choice, or its number in the list of `faces`, from 1. Default `largest`. */
  readonly face?: FacePick | undefined;
  /** Limits on the face's quality, beyond which it is embedded with warnings. */
  readonly limits?: Partial<QualityLimits> | undefined;
  /** Whether a face beyond the limits is an error. Default false. */
  readonly strict?: boolean | undefined;
}

/** How two photographs are read. */
export interface PairOptions extends Omit<PhotoOptions, "face"> {
  /** As for one photograph, for both or each of the two. */
  readonly face?: FacePicks | undefined;
}

export interface PhotoVerifyOptions extends PairOptions {
  /** Highest false accept rate wanted, between 0 and 1. Default 0.001, or the nearest that the model is calibrated for. */
  readonly far?: number | undefined;
}

const limitsOptions = z
  .strictObject(
    Object.fromEntries(Object.keys(DEFAULT_QUALITY_LIMITS).map((name) => [name, z.number().optional()])),
  )
  .optional();
const facesOptions = z.strictObject({ limits: limitsOptions });
const facePick = z.custom<FacePick>(
  isFacePick,
  `one of ${FACE_CHOICES.join(", ")}, or a face's number, from 1`,
);
const photoOptions = {
  face: facePick.optional(),
  limits: limitsOptions,
  strict: given.flag.optional(),
} satisfies Record<keyof PhotoOptions, z.ZodType>;
const embedOptions = z.strictObject(photoOptions);
const { face: _, ...allFacesOptions } = photoOptions;
const readFacesOptions = z.strictObject(allFacesOptions);
const pairOptions = {
  ...photoOptions,
  face: z
    .union(
      [facePick, z.tuple([facePick, facePick])],
      "a choice, a face's number, or a list of one for either photograph",
    )
    .optional(),
} satisfies Record<keyof PairOptions, z.ZodType>;
const readPairOptions = z.strictObject(pairOptions);
const verifyOptions = z.strictObject({
  ...pairOptions,
  far: given.far.optional(),
} satisfies Record<keyof PhotoVerifyOptions, z.ZodType>);

/** Sums of products of float32 numbers pass a cosine's ends by less than what is rounded off. */
const similarityFrom = (least: number, measure: string) =>
  z.custom<number>(
    (value) => typeof value === "number" && roundedScore(value) >= least && roundedScore(value) <= 1,
    `a ${measure}, from ${least} to 1`,
  );
const SIMILARITIES = { cosine: similarityFrom(-1, "cosine"), probability: similarityFrom(0, "probability") };

/** @throws FaceError `SHAPE_MISMATCH` for an embedding of zeros alone, which points nowhere. */
function ofLengthOne(embedding: Float32Array): Float32Array {
  const length = Math.sqrt(embedding.reduce((sum, value) => sum + value * value, 0));
  if (length === 0) {
    throw new FaceError("SHAPE_MISMATCH", "an embedding of zeros alone has no similarity to another", {
      hint: "pass what embed gave; an array that was made and never filled is all zeros",
    });
  }
  return Float32Array.from(embedding, (value) => value / length);
}

/** A failure that concerns one photograph. */
export class PhotoError extends FaceError {
  /** The photograph's path, or its place among the photographs given. */
  readonly image: string;

  constructor(image: string, { code, message, hint }: FaceError, cause: unknown) {
    super(code, message, { ...(hint === undefined ? {} : { hint }), cause });
    this.image = image;
  }
}

/** Errors of the work name the photograph. */
async function namedErrors<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof FaceError ? new PhotoError(what, error, error) : error;
  }
}

function nameOf(photo: Photo | OpenedPhotograph, what: string): string {
  if (typeof photo === "string") return photo;
  return isOpened(photo) && typeof photo.source === "string" ? photo.source : what;
}

/** A model for whole photographs; `await using` or `close()` frees its sessions. */
export class PhotoModel implements AsyncDisposable {
  readonly #comparer: FaceComparer;
  readonly #pipeline: FacePipeline | undefined;
  readonly #detects: boolean;
  readonly #calls = new OpenCalls(() => `the model ${this.name}`);

  /** Use `loadFaceModel`. */
  constructor(comparer: FaceComparer, pipeline: FacePipeline | undefined, detects: boolean) {
    this.#comparer = comparer;
    this.#pipeline = pipeline;
    this.#detects = detects;
  }

  /** The pack's name or the model's path. */
  get name(): string {
    return this.#comparer.name;
  }

  /** What a similarity of this model is: the cosine of embeddings, or the probability of one person. */
  get measure(): "cosine" | "probability" {
    return this.#comparer.measure;
  }

  /** Thresholds with the error rates measured at them. */
  get calibration(): CalibrationRecord | undefined {
    return this.#comparer.calibration;
  }

  /** SHA-256 of the file with the weights: embeddings of two digests cannot be compared. */
  get digest(): string {
    return this.#comparer.digest;
  }

  /**
   * The length of this model's embeddings.
   * @throws FaceError `MODEL_UNSUPPORTED` for a model that gives none, such as an 8-bit version.
   */
  get dimensions(): number {
    return this.#embedding.embeddingSize;
  }

  get #embedding() {
    const { measuring, name } = this.#comparer;
    if (measuring.kind === "pairs") throw noEmbeddings(name);
    return measuring;
  }

  /**
   * Finds all faces of a photograph, the surest first; none is no error.
   * @throws FaceError `IMAGE_UNREADABLE`, or `CONFIG_INVALID` for a model that was opened without detection.
   */
  async faces(photo: Photo, options: Pick<PhotoOptions, "limits"> = {}): Promise<PhotoFace[]> {
    return [...(await this.findFaces(photo, options)).faces];
  }

  /** The same, with the decoded photograph. */
  async findFaces(
    photo: Photo,
    options: Pick<PhotoOptions, "limits"> = {},
  ): Promise<{ readonly photograph: Pyramid; readonly faces: readonly PhotoFace[] }> {
    checkPhoto("faces, the photograph", photo);
    checkOptions("faces", facesOptions, options);
    const { limits } = options;
    const { photograph, faces } = await this.#calls.run(() => this.#find(photo));
    return { photograph, faces: faces.map((face) => this.#judged(face, limits).told) };
  }

  /**
   * The embedding of the face that is meant.
   * @throws PhotoError `IMAGE_UNREADABLE`, `FACE_NOT_FOUND`, `SEVERAL_FACES` (with `only`), `FACE_UNFIT` (with `strict`);
   *   FaceError `MODEL_UNSUPPORTED` for a model that gives no embeddings.
   */
  async embed(photo: Photo, options: PhotoOptions = {}): Promise<PhotoEmbedding> {
    checkPhoto("embed, the photograph", photo);
    checkOptions("embed", embedOptions, options);
    const { embed } = this.#embedding;
    return await this.#calls.run(async () => {
      const read = await this.#read(photo, nameOf(photo, "the photograph"), options);
      return { ...read, embedding: read.embedding ?? madeBy(await embed(read.crop), this.#comparer) };
    });
  }

  /**
   * The face that is meant, to be compared with others; for any model.
   * @throws PhotoError as `embed`.
   */
  async read(photo: Photo, options: PhotoOptions = {}): Promise<ReadPhoto> {
    checkPhoto("read, the photograph", photo);
    checkOptions("read", embedOptions, options);
    return await this.#calls.run(() => this.#read(photo, nameOf(photo, "the photograph"), options));
  }

  /**
   * The embeddings of all faces of a photograph, the surest face first; none is no error.
   * @throws PhotoError `IMAGE_UNREADABLE`; FaceError `MODEL_UNSUPPORTED` for a model that gives no embeddings.
   */
  async embedFaces(photo: Photo, options: Pick<PhotoOptions, "limits"> = {}): Promise<PhotoEmbedding[]> {
    checkPhoto("embedFaces, the photograph", photo);
    checkOptions("embedFaces", facesOptions, options);
    const { embed } = this.#embedding;
    return await this.#named(nameOf(photo, "the photograph"), async () => {
      const found = await this.#find(photo);
      const embedded: PhotoEmbedding[] = [];
      for (const face of found.faces) {
        const cut = this.#cut(found, face, this.#judged(face, options.limits).told);
        embedded.push({ ...cut, embedding: madeBy(await embed(cut.crop), this.#comparer) });
      }
      return embedded;
    });
  }

  /**
   * Reads every face of a photograph for `compare`, the surest first; with `strict` only those within the limits. A model
   * that was opened without detection takes the photograph as one crop.
   * @throws PhotoError `IMAGE_UNREADABLE`, `FACE_NOT_FOUND` where there is none, `FACE_UNFIT` where none is within the limits.
   */
  async readFaces(photo: Photo, options: Omit<PhotoOptions, "face"> = {}): Promise<ReadPhoto[]> {
    checkPhoto("readFaces, the photograph", photo);
    checkOptions("readFaces", readFacesOptions, options);
    const what = nameOf(photo, "the photograph");
    if (!this.#detects) return [await this.#calls.run(() => this.#read(photo, what, {}))];
    return await this.#named(what, async () => {
      const found = await this.#find(photo);
      const { limits, strict = false } = options;
      const largest = chooseFace(found.faces, "largest", found.photograph.size, what);
      const judged = found.faces.map((face) => ({ face, ...this.#judged(face, limits) }));
      const usable = judged.filter(({ beyond }) => !strict || beyond.length === 0);
      if (usable.length === 0) requireQuality(this.#judged(largest, limits).beyond, what);
      const read: ReadPhoto[] = [];
      for (const { face, told } of usable) {
        const cut = this.#cut(found, face, told);
        read.push({ ...cut, ...(await this.#embeddingOf(cut.crop)) });
      }
      return read;
    });
  }

  /**
   * How alike two embeddings of this model are, as `measure` says; larger means more alike. A cosine does not depend on their
   * lengths, so the mean of several embeddings may be given.
   * @throws FaceError `SHAPE_MISMATCH` for embeddings of another size, with numbers that are not finite, or, for a cosine, all
   *   zero; `CONFIG_INVALID` for what is no embedding, and for one that another model made in this process (of copies this is
   *   not known); `MODEL_UNSUPPORTED` for a model that gives none.
   */
  async similarity(a: Float32Array, b: Float32Array): Promise<number> {
    return await this.#calls.run(async () => {
      const { embeddingSize } = this.#embedding;
      for (const embedding of [a, b]) {
        requireOrigin("similarity", embedding, this.#comparer);
        checkEmbedding(embedding, embeddingSize);
      }
      if (this.measure !== "cosine") return await this.#similarity(a, b);
      return await this.#similarity(ofLengthOne(a), ofLengthOne(b));
    });
  }

  /**
   * Says what a similarity means.
   * @param similarity as `similarity` gives it: from -1 to 1 for a cosine, from 0 to 1 for a probability.
   * @throws FaceError `CONFIG_INVALID` for a number that is no similarity and for a rate that the model is not calibrated for,
   *   `MODEL_UNSUPPORTED` for a model without a calibration record.
   */
  decide(similarity: number, far?: number | undefined): PhotoDecision {
    const { calibration } = this;
    checkOptions("decide, the similarity", SIMILARITIES[this.measure], similarity);
    checkOptions("decide, far", given.far.optional(), far);
    const decision = requireDecision(calibration, far);
    if (decision === undefined) {
      throw new FaceError("MODEL_UNSUPPORTED", `${this.name} has no calibration record, so no threshold`, {
        hint: `measure its thresholds on photographs of people: faceid calibrate ${this.name} --dataset-path PEOPLE; or use a model pack`,
      });
    }
    const [score, threshold] = [roundedScore(similarity), roundedScore(decision.threshold)];
    const used = decision.usedFar === undefined ? {} : { far: decision.usedFar };
    return { same: score >= threshold, similarity: score, threshold, ...used, ...answeredRate(decision) };
  }

  /**
   * Says whether two photographs show one person.
   * @throws PhotoError as `embed`, naming the photograph, or both; FaceError as `decide`.
   */
  async verify(a: Photo, b: Photo, options: PhotoVerifyOptions = {}): Promise<PhotoVerification> {
    checkPhoto("verify, the first photograph", a);
    checkPhoto("verify, the second photograph", b);
    checkOptions("verify", verifyOptions, options);
    // A rate that cannot be answered is refused before any work.
    this.decide(0, options.far);
    const { far, ...wish } = options;
    return await this.#calls.run(async () => await this.#compare(...(await this.#readPair(a, b, wish)), far));
  }

  /**
   * Reads two photographs, as `read` does.
   * @throws PhotoError as `read`; where both fail, it names both. FaceError `CONFIG_INVALID` for options that are none.
   */
  async readPair(
    a: Photo | OpenedPhotograph,
    b: Photo | OpenedPhotograph,
    options: PairOptions = {},
  ): Promise<[ReadPhoto, ReadPhoto]> {
    if (!isOpened(a)) checkPhoto("readPair, the first photograph", a);
    if (!isOpened(b)) checkPhoto("readPair, the second photograph", b);
    checkOptions("readPair", readPairOptions, options);
    return await this.#calls.run(() => this.#readPair(a, b, options));
  }

  async #readPair(
    a: Photo | OpenedPhotograph,
    b: Photo | OpenedPhotograph,
    options: PairOptions,
  ): Promise<[ReadPhoto, ReadPhoto]> {
    const { face = "largest", ...others } = options;
    const wish = (i: 0 | 1): PhotoOptions => ({ ...others, face: pickOf(face, i) });
    // The second is decoded in a thread of its own while the first is searched.
    const later = this.#read(b, nameOf(b, "the second photograph"), wish(1));
    try {
      return await bothOf(this.#read(a, nameOf(a, "the first photograph"), wish(0)), later);
    } catch (error) {
      if (error instanceof FaceError && error.cause instanceof PhotoError)
        throw new PhotoError(error.cause.image, error, error);
      throw error;
    }
  }

  /** `verify` for photographs that `read` or `embed` of this model has read already. */
  async compare(a: ReadPhoto, b: ReadPhoto, far?: number | undefined): Promise<PhotoVerification> {
    return await this.#calls.run(() => this.#compare(a, b, far));
  }

  async #compare(a: ReadPhoto, b: ReadPhoto, far: number | undefined): Promise<PhotoVerification> {
    const similarity = await this.#similarityOf(a, b);
    const faces = [a, b].flatMap(({ face, number, count }) =>
      face === undefined || number === undefined ? [] : [{ ...face, number, found: count }],
    );
    const warnings = [...(a.warnings ?? []), ...(b.warnings ?? [])];
    const doubts = warnings.length === 0 ? {} : { warnings };
    return { ...this.decide(similarity, far), model: this.name, faces, ...doubts };
  }

  /** Waits for the calls under way and frees the sessions; later calls fail with `CONFIG_INVALID`. Closing again does nothing. */
  close(): Promise<void> {
    return this.#calls.close(() => this.#free());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #free(): Promise<void> {
    await this.#comparer[Symbol.asyncDispose]();
    await this.#pipeline?.close();
  }

  /** A call whose errors name the photograph. */
  async #named<T>(what: string, work: () => Promise<T>): Promise<T> {
    return await this.#calls.run(() => namedErrors(what, work));
  }

  /** The detector's part of a call. */
  async #detecting<T>(work: (pipeline: FacePipeline) => Promise<T>): Promise<T> {
    const pipeline = this.#pipeline;
    if (pipeline !== undefined && this.#detects) return await work(pipeline);
    throw new FaceError("CONFIG_INVALID", `${this.name} was opened without detection and finds no faces`, {
      hint: "leave out detect: false",
    });
  }

  #find(photo: Photo): Promise<FoundFaces> {
    return this.#detecting((pipeline) => pipeline.find(photo));
  }

  async #similarityOf(a: ReadPhoto, b: ReadPhoto): Promise<number> {
    const { measuring, digest } = this.#comparer;
    if (a.digest !== digest || b.digest !== digest) {
      throw new FaceError("CONFIG_INVALID", `compare: a photograph was not read by ${this.name}`, {
        hint: "read both photographs with the model that compares them",
      });
    }
    if (measuring.kind === "embeddings") return await this.#similarity(a.embedding!, b.embedding!);
    return await measuring.score(a.crop, b.crop);
  }

  async #similarity(a: Float32Array, b: Float32Array): Promise<number> {
    const measuring = this.#embedding;
    for (const embedding of [a, b]) checkEmbedding(embedding, measuring.embeddingSize);
    return await measuring.similarity(a, b);
  }

  /** The embedding of a crop, for models that give one. */
  async #embeddingOf(crop: Pixels): Promise<Pick<ReadPhoto, "embedding">> {
    const { measuring } = this.#comparer;
    if (measuring.kind === "pairs") return {};
    return { embedding: madeBy(await measuring.embed(crop), this.#comparer) };
  }

  async #read(photo: Photo | OpenedPhotograph, what: string, options: PhotoOptions): Promise<ReadPhoto> {
    return await namedErrors(what, () =>
      this.#detects ? this.#readFace(photo, what, options) : this.#readCrop(photo, what),
    );
  }

  async #readCrop(photo: Photo | OpenedPhotograph, what: string): Promise<ReadPhoto> {
    const { crop, doubt } = await this.#comparer.readCrop(isOpened(photo) ? photo.source : photo);
    requireContent(crop, what);
    const warnings = doubt === undefined ? {} : { warnings: [`${what} ${doubt}`] };
    const embedded = await this.#embeddingOf(crop);
    return { digest: this.digest, ...embedded, others: [], count: 1, crop, ...warnings };
  }

  async #readFace(
    photo: Photo | OpenedPhotograph,
    what: string,
    { face: wanted = "largest", limits, strict = false }: PhotoOptions,
  ): Promise<ReadPhoto> {
    const cut = await this.#detecting((pipeline) =>
      pipeline.read(photo, { wanted }, (found) => {
        const { size } = found.photograph;
        const chosen = chooseFace(found.faces, wanted, size, what);
        const { told, beyond } = this.#judged(chosen, limits);
        if (strict) requireQuality(beyond, what);
        const rival = rivalWarning(found.faces, chosen, wanted, size);
        const warnings = rival === undefined ? told.warnings : [...told.warnings, rival];
        return this.#cut(found, chosen, { ...told, warnings });
      }),
    );
    return { ...cut, ...(await this.#embeddingOf(cut.crop)) };
  }

  /** A face cut out, without its embedding. @param told the face as answers give it. */
  #cut({ photograph, faces }: FoundFaces, face: Face, told: PhotoFace): ReadPhoto {
    return {
      digest: this.digest,
      face: told,
      number: faces.indexOf(face) + 1,
      others: faces.filter((each) => each !== face),
      count: faces.length,
      crop: this.#comparer.crop(photograph, face),
      photograph,
    };
  }

  #judged(face: Face, limits: Partial<QualityLimits> = {}) {
    const beyond = qualityWarnings(face.quality, { ...DEFAULT_QUALITY_LIMITS, ...limits });
    const told: PhotoFace = { ...roundedFace(face), warnings: beyond.map(({ message }) => message) };
    return { told, beyond };
  }
}
