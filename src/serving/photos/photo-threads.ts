/** @file Threads that find the faces of photographs, so that the thread that talks to clients stays free. */

import { Limiter } from "../../base/limiter.ts";
import { usableCores } from "../../base/platform.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import type { Framing } from "../../faces/alignment.ts";
import type { FaceWish, JudgedFace, MeantFace } from "../../faces/meant-face.ts";
import type { Mode } from "../../faces/mode.ts";
import { untilAborted } from "../engine/servable.ts";
import { NICENESS } from "../engine/session-run.ts";
import { StatusError } from "../status.ts";

/** Paths of a pack's ONNX files, and the mode in which they compute; default the usual one. */
export interface PackFiles extends Partial<Mode> {
  readonly detector: string;
  /** Left out where the threads find and cut out faces, but embed none: it takes most of their memory. */
  readonly embedding?: string | undefined;
}

/** What a thread is started with. */
export interface PhotoThreadData {
  readonly files: PackFiles;
  readonly niceness: number;
}

/** A photograph, and what it is called in errors. */
export interface Photograph {
  /** The content of an image file. */
  readonly file: Uint8Array;
  readonly what: string;
}

/** A face with the pack's embedding, of length 1. */
export interface EmbeddedFace {
  readonly face: JudgedFace;
  readonly embedding: Float32Array;
}

/** What a thread can be asked. All throw FaceError `IMAGE_UNREADABLE`, the last two also as `chooseFace` and `requireQuality`. */
export interface PhotoCalls {
  faces(photograph: Photograph): JudgedFace[];
  embeddings(photograph: Photograph): EmbeddedFace[];
  /** With the pack's embedding, of length 1. */
  embedding(photograph: Photograph, wish: FaceWish): MeantFace & { embedding: Float32Array };
  /** With the face as a model reads it: eight-bit RGB `[side, side, 3]`. */
  crop(
    photograph: Photograph,
    wish: FaceWish,
    framing: Framing,
    side: number,
  ): MeantFace & { crop: Uint8Array };
}

/** Each thread may hold a photograph of the largest size, about 250 MB. */
const MOST_THREADS = 4;
/** Where time counts more than memory a thread decodes the next photograph while it searches one. */
export const DECODING_AHEAD = 2;
/** Photographs that may wait for a thread, over all requests. */
const MOST_QUEUED = 128;

export class PhotoThreads implements AsyncDisposable {
  readonly #threads: WorkerPool<PhotoCalls>;
  readonly #limiter: Limiter;

  private constructor(threads: WorkerPool<PhotoCalls>, atATime: number) {
    this.#threads = threads;
    this.#limiter = new Limiter(atATime, {
      maxQueued: MOST_QUEUED,
      refusal: () => new StatusError("UNAVAILABLE", "The server is busy with other photographs; try again."),
    });
  }

  /**
   * Starts the threads with the models of a pack.
   * @param size threads. Default: one for each core, at most 4.
   * @param niceness how much the threads yield to others, on Linux: from 0 to 19. Default: as a server's engine does.
   * @param each photographs that a thread has at a time. Default 1; see `DECODING_AHEAD`.
   * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for files that are not YuNet and SFace.
   */
  static async open(
    files: PackFiles,
    size = Math.min(MOST_THREADS, usableCores()),
    niceness = NICENESS,
    each = 1,
  ): Promise<PhotoThreads> {
    const data: PhotoThreadData = { files, niceness };
    const start = () =>
      new WorkerClient<PhotoCalls>(import.meta.url, "photo-worker", data, { label: "a photo thread" });
    const threads = new WorkerPool(size, start);
    await threads.open();
    return new PhotoThreads(threads, size * each);
  }

  /** The faces of a photograph, the surest first. */
  faces(photograph: Photograph, signal: AbortSignal): Promise<JudgedFace[]> {
    return this.#run(photograph, signal, (sent, buffers) => this.#threads.call("faces", [sent], buffers));
  }

  /** The same, each with its embedding by the pack. */
  embeddings(photograph: Photograph, signal: AbortSignal): Promise<EmbeddedFace[]> {
    return this.#run(photograph, signal, (sent, buffers) =>
      this.#threads.call("embeddings", [sent], buffers),
    );
  }

  /** The face that is meant, and its embedding by the pack. */
  embedding(photograph: Photograph, wish: FaceWish, signal: AbortSignal) {
    return this.#run(photograph, signal, (sent, buffers) =>
      this.#threads.call("embedding", [sent, wish], buffers),
    );
  }

  /** The face that is meant, and its crop for a model. */
  crop(photograph: Photograph, wish: FaceWish, framing: Framing, side: number, signal: AbortSignal) {
    return this.#run(photograph, signal, (sent, buffers) =>
      this.#threads.call("crop", [sent, wish, framing, side], buffers),
    );
  }

  /** Ends the threads when they have answered what is pending. */
  close(): Promise<void> {
    return this.#threads.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A thread cannot be interrupted: it keeps its place until it is done, even when nobody waits for it any more. */
  #run<T>(
    { file, what }: Photograph,
    signal: AbortSignal,
    call: (sent: Photograph, buffers: ArrayBuffer[]) => Promise<T>,
  ): Promise<T> {
    const work = this.#limiter.run(() => {
      // A part of a body is copied when its turn comes, since sending it would send the whole body.
      const copy = new Uint8Array(file);
      return call({ file: copy, what }, [copy.buffer]);
    }, signal);
    return untilAborted(work, signal);
  }
}
