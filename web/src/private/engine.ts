/**
 * @file Chooses what computes embeddings in the browser: the graphics processor (WebGPU) where it answers as WebAssembly does and
 * sooner, else WebAssembly. The detector stays on WebAssembly: it is small, and its pictures have many sizes.
 */
import { EMBEDDING_SIDE, type FaceEmbedder } from "../../../src/faces/embedder.ts";
import type { Pixels } from "../../../src/image/settings.ts";

/** `gpu` where the graphics processor computes; otherwise why it does not. */
export type Engine = "gpu" | "none" | "failed" | "differs" | "slower";

export interface Chosen {
  readonly engine: Engine;
  readonly embedder: FaceEmbedder;
  /** How far the graphics processor's embedding was from WebAssembly's, where it gave one. */
  readonly distance: number | undefined;
}

/** Two embeddings, each off by this at most, change their similarity by at most 1e-3. */
const MOST_DISTANCE = 5e-4;

/** A picture with structure in all colours; what it shows does not matter. */
function testPicture(): Pixels {
  const data = new Uint8Array(EMBEDDING_SIDE * EMBEDDING_SIDE * 3);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % EMBEDDING_SIDE, Math.floor(i / 3 / EMBEDDING_SIDE)];
    data[i] = Math.round(127.5 + 60 * Math.sin(x / (4 + (i % 3))) + 60 * Math.cos(y / 7 + (i % 3)));
  }
  return { data, width: EMBEDDING_SIDE, height: EMBEDDING_SIDE };
}

async function timed(
  embedder: FaceEmbedder,
  picture: Pixels,
  now: () => number,
): Promise<readonly [Float32Array, number]> {
  // The first run makes ready.
  await embedder.embed(picture);
  const start = now();
  return [await embedder.embed(picture), now() - start];
}

const distanceOf = (a: Float32Array, b: Float32Array): number =>
  Math.hypot(...a.map((value, i) => value - b[i]!));

/**
 * Tries both on one picture. What is not chosen is closed.
 * @param openGpu opens the same network on the graphics processor; left out where there is none.
 * @param now the time in milliseconds.
 */
export async function chooseEngine(
  onWebAssembly: FaceEmbedder,
  openGpu: (() => Promise<FaceEmbedder>) | undefined,
  now = () => performance.now(),
): Promise<Chosen> {
  if (openGpu === undefined) return { engine: "none", embedder: onWebAssembly, distance: undefined };
  const picture = testPicture();
  const [wanted, usualMs] = await timed(onWebAssembly, picture, now);
  let onGpu: FaceEmbedder | undefined;
  let distance: number | undefined;
  let engine: Engine = "failed";
  try {
    onGpu = await openGpu();
    const [got, ms] = await timed(onGpu, picture, now);
    distance = distanceOf(wanted, got);
    engine = !(distance <= MOST_DISTANCE) ? "differs" : ms > usualMs ? "slower" : "gpu";
  } catch {
    // Drivers refuse for many reasons; WebAssembly is there.
  }
  const [embedder, other] = engine === "gpu" ? [onGpu!, onWebAssembly] : [onWebAssembly, onGpu];
  await other?.close().catch(() => undefined);
  return { engine, embedder, distance };
}
