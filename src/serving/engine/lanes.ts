/** @file One model in several worker threads side by side; a thread that dies is replaced. */

import { ConcatenatedView, materialize } from "../../base/concatenated.ts";
import { FaceError } from "../../base/errors.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { isShared, WorkerSession } from "../../onnx/runtime/worker-session.ts";

interface Lane {
  session: Promise<WorkerSession>;
  underWay: number;
}

/** The thread that talks to clients goes first: what it does is short, and keeps the lanes busy. */
const NICENESS = 5;

const openLane = (bytes: Uint8Array) => WorkerSession.open(bytes, {}, { niceness: NICENESS });

/** Sessions of one ONNX model; a run goes to the one with the fewest runs under way. */
export class Lanes {
  readonly #bytes: Uint8Array;
  readonly #inputNames: ReadonlySet<string>;
  readonly #lanes: Lane[];
  readonly #running = new Set<Promise<unknown>>();

  private constructor(bytes: Uint8Array, inputNames: readonly string[], count: number) {
    this.#bytes = bytes;
    this.#inputNames = new Set(inputNames);
    this.#lanes = Array.from({ length: count }, () => ({ session: openLane(bytes), underWay: 0 }));
  }

  /**
   * @param inputNames the inputs that the model looks at; others are not sent to it.
   * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot load the model.
   */
  static async open(bytes: Uint8Array, inputNames: readonly string[], count: number): Promise<Lanes> {
    const lanes = new Lanes(bytes, inputNames, count);
    const opened = await Promise.allSettled(lanes.#lanes.map(({ session }) => session));
    const failed = opened.find((result) => result.status === "rejected");
    if (failed === undefined) return lanes;
    await lanes.close();
    throw failed.reason;
  }

  /** @throws FaceError as WorkerSession; a run whose thread dies fails, later ones get a new thread. */
  run(inputs: TensorMap, outputs: readonly string[]): Promise<TensorMap> {
    const lane = this.#lanes.reduce((best, other) => (other.underWay < best.underWay ? other : best));
    lane.underWay++;
    const run = this.#runIn(lane, inputs, outputs).finally(() => {
      lane.underWay--;
      this.#running.delete(run);
    });
    this.#running.add(run);
    return run;
  }

  async #runIn(lane: Lane, inputs: TensorMap, outputs: readonly string[]): Promise<TensorMap> {
    const session = await this.#living(lane);
    const sent = [...inputs].filter(([name]) => this.#inputNames.has(name));
    const compacted = sent.map(([name, value]) => [name, compact(value)] as const);
    // What was copied here is nobody else's, and can be handed over without another copy.
    const transfer = compacted.every(([, value], i) => value !== sent[i]![1] || isShared(value));
    return session.run(new Map(compacted), outputs, { transfer });
  }

  /** The lane's session, or a new one in place of a dead one. */
  async #living(lane: Lane): Promise<WorkerSession> {
    const { session } = lane;
    const opened = await session.catch(() => undefined);
    if (opened?.alive) return opened;
    // Several runs may find the same dead thread; the first of them replaces it.
    if (lane.session === session) lane.session = openLane(this.#bytes);
    return lane.session;
  }

  /** Waits for the runs under way, then ends the threads. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await Promise.all(
      this.#lanes.map(async ({ session }) => {
        const opened = await session.catch(() => undefined);
        await opened?.close();
      }),
    );
  }
}

/**
 * Sending a view to a thread copies all the memory it looks at, so a small view of a large memory is copied first, and a
 * stack is brought together. Shared memory is not copied on its way.
 */
function compact(value: Tensor): Tensor {
  if (value.dtype === "string") throw new FaceError("MODEL_UNSUPPORTED", "the engine takes no strings");
  if (isShared(value)) return value;
  if (value instanceof ConcatenatedView) return materialize(value);
  const data = value.data as Float32Array;
  const isSmallView = data.byteLength * 2 < data.buffer.byteLength;
  return isSmallView ? { ...value, data: data.slice() } : value;
}
