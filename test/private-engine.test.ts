/** @file What computes embeddings in the browser: WebGPU only where it gives WebAssembly's numbers, and sooner. */
import { describe, expect, it } from "vitest";
import { EMBEDDING_SIZE, FaceEmbedder, SFACE_OUTPUT } from "../src/faces/embedder.ts";
import type { NetworkRunner } from "../src/faces/network.ts";
import { chooseEngine } from "../web/src/private/engine.ts";

/** Time passes only while a network computes. */
let clock = 0;
const now = () => clock;

interface Fake {
  /** How far each number is from the others' engine. */
  readonly off?: number;
  readonly ms?: number;
}

/** An embedder whose network answers one direction, and whether it was closed. */
async function embedderOf({ off = 0, ms = 0 }: Fake) {
  const state = { closed: false };
  const runner: NetworkRunner = {
    async run() {
      clock += ms;
      const data = Float32Array.from(
        { length: 2 * EMBEDDING_SIZE },
        (_, i) => 1 + (i % 2 === 0 ? off : -off),
      );
      return new Map([[SFACE_OUTPUT, { dtype: "float32" as const, shape: [2, EMBEDDING_SIZE], data }]]);
    },
    async close() {
      state.closed = true;
    },
  };
  return { embedder: new FaceEmbedder(runner, true), state };
}

describe("the choice of what computes in the browser", () => {
  it.each([
    ["gpu", { ms: 1 }],
    ["gpu", { ms: 1, off: 4e-4 }],
    ["differs", { ms: 1, off: 6e-4 }],
    // Numbers that are none have no direction.
    ["failed", { ms: 1, off: Number.NaN }],
    ["slower", { ms: 41 }],
  ] as const)("is %s for %o, beside 40 ms", async (wanted, fake) => {
    const usual = await embedderOf({ ms: 40 });
    const gpu = await embedderOf(fake);
    const { engine, embedder } = await chooseEngine(usual.embedder, async () => gpu.embedder, now);
    expect(engine).toBe(wanted);
    expect(embedder).toBe(engine === "gpu" ? gpu.embedder : usual.embedder);
    expect(usual.state.closed).toBe(engine === "gpu");
    expect(gpu.state.closed).toBe(engine !== "gpu");
  });

  it("is WebAssembly where there is no graphics processor, or it refuses the network", async () => {
    const usual = await embedderOf({});
    expect(await chooseEngine(usual.embedder, undefined)).toEqual({
      engine: "none",
      embedder: usual.embedder,
      distance: undefined,
    });
    const refused = await chooseEngine(usual.embedder, async () => {
      throw new Error("out of memory");
    });
    expect([refused.engine, refused.embedder]).toEqual(["failed", usual.embedder]);
  });
});
