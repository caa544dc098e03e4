/**
 * @file The thread that finds, aligns and embeds faces by the server's own code, so that no photograph leaves the browser. It
 * asks the server for the runtime and the pack's files, and sends nothing.
 */
import { FaceError, messageOf } from "../../../src/base/errors.ts";
import { Detector } from "../../../src/faces/detector.ts";
import { EMBEDDING_SIDE, FaceEmbedder } from "../../../src/faces/embedder.ts";
import type { Landmarks } from "../../../src/faces/face.ts";
import { cropFace, findFaces } from "../../../src/faces/found-faces.ts";
import { sfaceModel } from "../../../src/faces/lower-networks.ts";
import { DEFAULT_WISH, meantFace } from "../../../src/faces/meant-face.ts";
import { Pyramid } from "../../../src/faces/pyramid.ts";
import { YunetNetwork } from "../../../src/faces/yunet-network.ts";
import { chooseEngine } from "./engine.ts";
import type { ComparableFace, FromThread, Setup, ToThread } from "./messages.ts";
import { pixelsOf } from "./pixels.ts";
import { loadRuntime } from "./runtime.ts";

const thread = globalThis as unknown as {
  postMessage(message: FromThread): void;
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
};

/** A file of the pack, reported as it arrives. */
async function load(url: string, key: string | undefined, arrived: (bytes: number) => void) {
  const headers = key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } };
  const unreachable = (error: unknown) => {
    throw new FaceError("SERVER_UNREACHABLE", messageOf(error), { cause: error });
  };
  const response = await fetch(url, headers).catch(unreachable);
  if (!response.ok) {
    throw new FaceError(
      "SERVER_UNREACHABLE",
      `the server answers ${response.status} for a file of the model`,
    );
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(unreachable);
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    arrived(value.length);
  }
}

class Networks {
  readonly #detector: Detector;
  readonly #embedder: FaceEmbedder;

  private constructor(detector: Detector, embedder: FaceEmbedder) {
    this.#detector = detector;
    this.#embedder = embedder;
  }

  static async open({ runtime, detector, embedding, bytes, key }: Setup): Promise<Networks> {
    let here = 0;
    const arrived = (more: number) => {
      here += more;
      thread.postMessage({ kind: "loading", part: Math.min(1, here / bytes) });
    };
    const [{ onWebAssembly, onGpu }, yunet, sface] = await Promise.all([
      loadRuntime(runtime),
      load(detector, key, arrived),
      load(embedding, key, arrived),
    ]);
    const network = sfaceModel(sface);
    const { engine, embedder, distance } = await chooseEngine(
      new FaceEmbedder(await onWebAssembly(network), true),
      onGpu && (async () => new FaceEmbedder(await onGpu(network), true)),
    );
    thread.postMessage({ kind: "ready", engine, distance });
    return new Networks(new Detector(await YunetNetwork.open(yunet, onWebAssembly)), embedder);
  }

  async look(photo: Blob): Promise<Landmarks[]> {
    const { faces } = await findFaces(this.#detector, new Pyramid(await pixelsOf(photo, "the photograph")));
    return faces.map(({ landmarks }) => landmarks);
  }

  async face(photo: Blob, what: string): Promise<ComparableFace> {
    const found = await findFaces(
      this.#detector,
      new Pyramid(await pixelsOf(photo, what)),
      DEFAULT_WISH.choice,
    );
    const meant = meantFace(found, what, DEFAULT_WISH);
    const crop = cropFace(found.photograph, meant.face, { kind: "aligned" }, EMBEDDING_SIDE);
    return { ...meant, embedding: await this.#embedder.embed(crop) };
  }
}

let setup: Setup | undefined;
let networks: Promise<Networks> | undefined;
/** One photograph at a time. */
let last: Promise<unknown> = Promise.resolve();

/** The networks, opened once; where that failed, as when the server did not answer, whoever asks next tries again. */
function opened(): Promise<Networks> {
  networks ??= Networks.open(setup!).catch((error: unknown) => {
    networks = undefined;
    throw error;
  });
  return networks;
}

async function answer(asked: Exclude<ToThread, { kind: "setup" }>): Promise<void> {
  const { id, photo } = asked;
  try {
    const ready = await opened();
    if (asked.kind === "look") thread.postMessage({ kind: "looked", id, faces: await ready.look(photo) });
    else thread.postMessage({ kind: "face", id, face: await ready.face(photo, asked.what) });
  } catch (error) {
    const code = error instanceof FaceError ? error.code : "UNKNOWN";
    thread.postMessage({ kind: "failed", id, code, message: messageOf(error) });
  }
}

thread.onmessage = ({ data }) => {
  if (data.kind === "setup") {
    setup = data.setup;
    // Whoever asks for a face is told of a failure.
    opened().catch(() => undefined);
  } else {
    last = last.then(() => answer(data));
  }
};
