/** @file From the bytes of a photograph to its faces, the one that is meant, its crop and its embedding. */

import { FaceError } from "../base/errors.ts";
import { type DecodeOptions, decodePixels, type ImageSource } from "../image/decode.ts";
import type { Pixels } from "../image/settings.ts";
import { openRuntime } from "../onnx/runtime/runtime.ts";
import { chooseFace, type FacePick } from "./choose.ts";
import { Detector, type DetectorOptions, searchOf } from "./detector.ts";
import { EMBEDDING_SIDE, type FaceEmbedder } from "./embedder.ts";
import type { Face } from "./face.ts";
import { cropFace, type FoundFaces, findFaces } from "./found-faces.ts";
import { openLowered } from "./lowered-cache.ts";
import { modeOf } from "./mode.ts";
import type { OpenNetwork, OpenPackNetwork } from "./network.ts";
import { type EmbedderOptions, openEmbedder } from "./open-embedder.ts";
import { isOpened, type OpenedPhotograph, openPhotograph, type ReadOptions } from "./opened-photograph.ts";
import { Pyramid } from "./pyramid.ts";
import {
  DEFAULT_QUALITY_LIMITS,
  type QualityLimits,
  type QualityWarning,
  qualityWarnings,
  requireQuality,
} from "./quality-limits.ts";
import { openReady } from "./ready-network.ts";
import { YunetNetwork } from "./yunet-network.ts";

/** The contents of the two ONNX files of a pack. */
export interface PipelineModels {
  readonly detector: Uint8Array;
  /** Left out where faces are found and cut out, but not embedded. */
  readonly embedding?: Uint8Array | undefined;
}

export interface PipelineOptions extends EmbedderOptions {
  readonly detector?: DetectorOptions;
  /** Threads that share the work of each network in the calling thread. Default 1. */
  readonly threads?: number | undefined;
  /** Starts a session of a network elsewhere. Default: in the calling thread, from a file that all of them share. */
  readonly open?: OpenNetwork;
}

/** The crop that the embedding reads. */
const alignedCrop = (photograph: Pyramid, face: Face): Pixels =>
  cropFace(photograph, face, { kind: "aligned" }, EMBEDDING_SIDE);

export interface EmbedOptions {
  /** Which face is meant where there are several. Default `largest`. */
  readonly face?: FacePick;
  /** Limits on the face's quality. */
  readonly limits?: Partial<QualityLimits>;
  /** Whether a face beyond the limits is an error. Default false: it is embedded, with warnings. */
  readonly strict?: boolean;
  /** The photograph's name, for errors; its path when left out. */
  readonly what?: string;
}

/** The face that was meant, ready to be compared. */
export interface EmbeddedFace {
  readonly face: Face;
  /** How many faces the photograph shows. */
  readonly faces: number;
  /** Of length 1. */
  readonly embedding: Float32Array;
  /** Quality numbers beyond their limits; empty for a face fit to be compared. */
  readonly warnings: readonly QualityWarning[];
}

/** A detector and an embedding. The same photograph gives the same bits, whatever else is under way. */
export class FacePipeline implements AsyncDisposable {
  readonly #network: YunetNetwork;
  readonly #detector: Detector;
  readonly #embedder: FaceEmbedder | undefined;

  private constructor(network: YunetNetwork, detector: Detector, embedder: FaceEmbedder | undefined) {
    this.#network = network;
    this.#detector = detector;
    this.#embedder = embedder;
  }

  /** @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for files that are not YuNet and SFace. */
  static async open(models: PipelineModels, options: PipelineOptions = {}): Promise<FacePipeline> {
    const { threads = 1, open } = options;
    const { precision, profile } = modeOf(options);
    const lowered = openLowered(open ?? ((model) => openRuntime(model, { threads })));
    const ready: OpenPackNetwork = (kind, file, lower) => openReady(kind, file, lower, { threads });
    const inFloats = open === undefined ? ready : lowered;
    const network = await YunetNetwork.openKept(models.detector, inFloats);
    // Which 8-bit weights are right depends on more of the processor than a kept network says.
    const embedding = precision === "int8" ? lowered : inFloats;
    const embedder = models.embedding && (await openEmbedder(models.embedding, embedding, options));
    return new FacePipeline(
      network,
      new Detector(network, { ...searchOf({ precision, profile }), ...options.detector }),
      embedder,
    );
  }

  /**
   * Decodes a photograph, upright by its EXIF orientation and in sRGB, and finds its faces.
   * @throws FaceError `IMAGE_UNREADABLE` for a file that cannot be decoded. No face is no error here.
   */
  async find(source: ImageSource, options: DecodeOptions = {}): Promise<FoundFaces> {
    return await this.findIn(await decodePixels(source, options));
  }

  /** Finds the faces of decoded pixels. @param wanted as `Detector.find` takes it. */
  async findIn(pixels: Pixels, wanted?: FacePick): Promise<FoundFaces> {
    return await findFaces(this.#detector, new Pyramid(pixels), wanted);
  }

  /**
   * Finds the faces of a photograph of which one is wanted, and cuts that one out. Of a large JPEG a quarter of the size is
   * decoded where the face is so large that no more of it is read.
   * @param cut chooses the face and samples the photograph; it is called again where it read more than the quarter has.
   * @throws FaceError `IMAGE_UNREADABLE`, and what `cut` throws.
   */
  async read<T>(
    photo: ImageSource | OpenedPhotograph,
    { wanted, ...options }: ReadOptions,
    cut: (found: FoundFaces) => T,
  ): Promise<T> {
    const opened = isOpened(photo) ? photo : openPhotograph(photo, { wanted, ...options });
    const photograph = await opened.photograph;
    const found = await findFaces(this.#detector, photograph, wanted);
    if (!photograph.isTooCoarse) {
      const result = cut(found);
      if (!photograph.isTooCoarse) return result;
    }
    return cut(await this.findIn(await decodePixels(opened.source, options), wanted));
  }

  /** The embedding of one of a photograph's faces. */
  embed(photograph: Pyramid, face: Face): Promise<Float32Array> {
    return this.embedCrop(alignedCrop(photograph, face));
  }

  /**
   * The embedding of an aligned crop of `EMBEDDING_SIDE` pixels a side.
   * @throws FaceError `INTERNAL` for a pipeline that was opened without an embedding.
   */
  async embedCrop(crop: Pixels): Promise<Float32Array> {
    if (this.#embedder !== undefined) return await this.#embedder.embed(crop);
    throw new FaceError("INTERNAL", "internal: this pipeline was opened without its embedding");
  }

  /**
   * From a photograph to the embedding of the face that is meant.
   * @throws FaceError `IMAGE_UNREADABLE`, `FACE_NOT_FOUND`, `SEVERAL_FACES` (with `only`), `FACE_UNFIT` (with `strict`).
   */
  async embedPhotograph(source: ImageSource, options: EmbedOptions = {}): Promise<EmbeddedFace> {
    const { face: choice = "largest", limits = {}, strict = false } = options;
    const { what = typeof source === "string" ? source : "the photograph" } = options;
    const { crop, ...meant } = await this.read(source, { wanted: choice }, ({ photograph, faces }) => {
      const face = chooseFace(faces, choice, photograph.size, what);
      const warnings = qualityWarnings(face.quality, { ...DEFAULT_QUALITY_LIMITS, ...limits });
      if (strict) requireQuality(warnings, what);
      return { face, faces: faces.length, warnings, crop: alignedCrop(photograph, face) };
    });
    return { ...meant, embedding: await this.embedCrop(crop) };
  }

  async close(): Promise<void> {
    await this.#network.close();
    await this.#embedder?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
