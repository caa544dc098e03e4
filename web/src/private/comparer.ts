/** @file Compares two photographs in the browser: the page's side of the thread, and the decision. */
import { roundedScore, usedFar, usualFar } from "../../../src/artifact/rates.ts";
import { bothOf, type ErrorCode, FaceError } from "../../../src/base/errors.ts";
import type { ServiceFacts } from "../../../src/client/gallery-client.ts";
import { cosineSimilarity } from "../../../src/faces/cosine.ts";
import type { Landmarks } from "../../../src/faces/face.ts";
import { faceAnswer } from "../../../src/faces/meant-face.ts";
import type { Comparison } from "../server.ts";
import type { Engine } from "./engine.ts";
import type { ComparableFace, FromThread, Setup, ToThread } from "./messages.ts";

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: FaceError): void;
}

const FILES = "/v1/service/files/";
/** As the server names the two photographs in its errors. */
const NAMES = ["the anchor", "the verification"] as const;

/** Where the page may find the runtime; undefined where the server has none. */
export const runtimePath = (): string | undefined =>
  document.querySelector<HTMLElement>("#app")?.dataset.runtime || undefined;

/** Whether photographs can be compared in the browser: the server has the runtime, and a pack's files as they are. */
export const isPrivatePossible = ({ model }: ServiceFacts): boolean =>
  runtimePath() !== undefined && model.files !== null;

export class PrivateComparer implements Disposable {
  readonly #facts: ServiceFacts;
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  /** So that a photograph is looked at once. */
  readonly #faces = new WeakMap<Blob, Promise<ComparableFace>>();
  #ids = 0;
  /** What computes, once that is known. */
  engine: Engine | undefined;
  /** How far a graphics processor's embedding was from WebAssembly's. */
  distance: number | undefined;
  /** Is told what part of the model is here, 0 to 1. */
  onLoading: (part: number) => void = () => undefined;

  /** @param key the API key, where the server wants one. */
  constructor(facts: ServiceFacts, key: string | undefined) {
    this.#facts = facts;
    const { detector, embedding } = facts.model.files!;
    const setup: Setup = {
      runtime: runtimePath()!,
      detector: `${FILES}${detector.sha256}`,
      embedding: `${FILES}${embedding.sha256}`,
      bytes: detector.bytes + embedding.bytes,
      key,
    };
    this.#thread = new Worker("/compute.js", { type: "module" });
    this.#thread.onmessage = ({ data }: MessageEvent<FromThread>) => this.#take(data);
    this.#thread.onerror = () => this.#fail("the thread that compares has stopped");
    this.#send({ kind: "setup", setup });
  }

  #send(message: ToThread): void {
    this.#thread.postMessage(message);
  }

  #take(message: FromThread): void {
    if (message.kind === "loading") {
      this.onLoading(message.part);
      return;
    }
    if (message.kind === "ready") {
      this.engine = message.engine;
      this.distance = message.distance;
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "face") waiting?.resolve(message.face);
    else if (message.kind === "looked") waiting?.resolve(message.faces);
    else waiting?.reject(new FaceError(message.code as ErrorCode, message.message));
  }

  #fail(text: string): void {
    for (const { reject } of this.#waiting.values()) reject(new FaceError("INTERNAL", text));
    this.#waiting.clear();
  }

  #ask<A>(messageOf: (id: number) => ToThread): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      const id = ++this.#ids;
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as A), reject });
      this.#send(messageOf(id));
    });
  }

  /** The points of all faces of a photograph. */
  look(photo: Blob): Promise<readonly Landmarks[]> {
    return this.#ask((id) => ({ kind: "look", id, photo }));
  }

  #face(photo: Blob, what: string): Promise<ComparableFace> {
    const known = this.#faces.get(photo);
    if (known !== undefined) return known;
    const face = this.#ask<ComparableFace>((id) => ({ kind: "face", id, photo, what }));
    this.#faces.set(photo, face);
    // A failure names the place of its photograph, which may be another the next time.
    face.catch(() => this.#faces.delete(photo));
    return face;
  }

  /**
   * Compares two photographs and decides as `:verify` does.
   * @throws FaceError `FACE_NOT_FOUND`, `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` while the model is loaded.
   */
  async compare(photos: readonly [Blob, Blob], far: number | undefined): Promise<Comparison> {
    const [first, second] = await bothOf(this.#face(photos[0], NAMES[0]), this.#face(photos[1], NAMES[1]));
    const similarity = roundedScore(cosineSimilarity(first.embedding, second.embedding));
    return {
      similarity,
      ...this.#decision(similarity, far),
      faces: { anchor: faceAnswer(first), verification: faceAnswer(second) },
    };
  }

  #decision(similarity: number, far: number | undefined): Partial<Comparison> {
    const { calibration } = this.#facts.model;
    if (calibration === null) return {};
    const record = { operatingPoints: calibration.points };
    const wanted = far ?? usualFar(record);
    const used = wanted === undefined ? undefined : usedFar(record, wanted);
    const point = calibration.points.find((each) => each.far === used);
    if (point === undefined) return {};
    const { threshold, measuredFar } = point;
    return { same: similarity >= threshold, threshold, falseAcceptRate: measuredFar };
  }

  /** Ends the thread, and with it what it holds of photographs. */
  [Symbol.dispose](): void {
    this.#thread.terminate();
    this.#fail("the comparison was ended");
  }
}
