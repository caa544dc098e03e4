/** @file A model in a worker thread of its own, so that runs do not hold up the thread that asks for them. */
import "./disable-telemetry.ts";
import type { TransferListItem, Worker } from "node:worker_threads";
import { ConcatenatedView, materialize } from "../../base/concatenated.ts";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { startWorker } from "../../base/worker.ts";
import type { RuntimeOptions } from "./runtime.ts";

/** An input in memory that both threads see; the worker copies it, part after part, to where the runtime reads it. */
export interface SharedInput {
  readonly dtype: Exclude<Tensor["dtype"], "string">;
  readonly shape: Tensor["shape"];
  readonly parts: readonly Float32Array[];
}

/** What the worker is told: run these inputs, compute those outputs. */
export interface RunRequest {
  readonly id: number;
  readonly inputs: ReadonlyMap<string, Tensor | SharedInput>;
  readonly outputs: readonly string[] | undefined;
}

/** What the worker answers; `id` −1 is the answer to loading the model. */
export type RunReply =
  | { readonly id: number; readonly outputs: TensorMap }
  | { readonly id: number; readonly failure: { readonly code: FaceError["code"]; readonly message: string } };

/** The id under which a worker reports that its model is loaded. */
export const LOADED = -1;

interface Pending {
  resolve(outputs: TensorMap): void;
  reject(error: Error): void;
}

/** The buffers behind tensors, to hand over rather than copy; shared and repeated ones are left out. */
export function buffersOf(tensors: Iterable<Tensor>): TransferListItem[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) {
    if (!Array.isArray(data) && "buffer" in data && data.buffer instanceof ArrayBuffer)
      buffers.add(data.buffer);
  }
  return [...buffers];
}

const partsOf = (value: Tensor) => (value instanceof ConcatenatedView ? value.parts : [value]);

/** Whether all of a tensor lies in memory that threads share. */
export function isShared(value: Tensor): boolean {
  return partsOf(value).every(
    ({ data }) => ArrayBuffer.isView(data) && data.buffer instanceof SharedArrayBuffer,
  );
}

function sharedInput(value: Tensor): SharedInput | undefined {
  if (value.dtype === "string" || !isShared(value)) return undefined;
  const parts = partsOf(value).map(({ data }) => data as Float32Array);
  return { dtype: value.dtype, shape: value.shape, parts };
}

/** Runs are answered in the order they were asked for. */
export class WorkerSession implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = LOADED;
  #failure: FaceError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", (reply: RunReply) => this.#settle(reply));
    worker.on("error", (error) => this.#fail(`the worker thread crashed: ${messageOf(error)}`));
    worker.on("exit", () => this.#fail("the worker thread has ended"));
  }

  /**
   * Loads an ONNX model whose parameters are all stored in it.
   * @param niceness how far the thread stands back behind others, on Linux: 0 for not at all, at most 19.
   * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot run it.
   */
  static async open(
    bytes: Uint8Array,
    options: RuntimeOptions = {},
    { niceness = 0 } = {},
  ): Promise<WorkerSession> {
    const data = { bytes, options, niceness };
    const session = new WorkerSession(startWorker(import.meta.url, "session-worker", data));
    await session.#answer(LOADED);
    return session;
  }

  /**
   * Runs the model once. Inputs in shared memory are not copied on their way, and must stay as they are until the answer.
   * @param transfer whether the other inputs' memory may be handed over; the caller must not use it afterwards.
   * @throws FaceError `MODEL_UNSUPPORTED` with the runtime's words when the inputs do not fit, `INTERNAL` when the
   *   thread is gone.
   */
  run(inputs: TensorMap, outputs?: readonly string[], { transfer = false } = {}): Promise<TensorMap> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    const sent = [...inputs].map(
      ([name, value]) => [name, sharedInput(value) ?? materialize(value)] as const,
    );
    const request: RunRequest = { id, inputs: new Map(sent), outputs };
    const copied = sent.flatMap(([, value]) => ("parts" in value ? [] : [value]));
    this.#worker.postMessage(request, transfer ? buffersOf(copied) : []);
    return this.#answer(id);
  }

  /** Whether the thread is alive and can take runs. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  #answer(id: number): Promise<TensorMap> {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #settle(reply: RunReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("failure" in reply) pending?.reject(new FaceError(reply.failure.code, reply.failure.message));
    else pending?.resolve(reply.outputs);
  }

  #fail(reason: string): void {
    this.#failure ??= new FaceError("INTERNAL", reason);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }

  async close(): Promise<void> {
    this.#failure ??= new FaceError("INTERNAL", "internal: the session was closed");
    await this.#worker.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
