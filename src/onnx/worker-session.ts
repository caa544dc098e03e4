/** @file A model in a worker thread of its own, so that runs do not hold up the thread that asks for them. */
import "./keep-quiet.ts";
import type { TransferListItem, Worker } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { startWorker } from "../base/worker.ts";
import type { RuntimeOptions } from "./runtime.ts";

/** What the worker is told: run these inputs, compute those outputs. */
export interface RunRequest {
  readonly id: number;
  readonly inputs: TensorMap;
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
   * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot run it.
   */
  static async open(bytes: Uint8Array, options: RuntimeOptions = {}): Promise<WorkerSession> {
    const session = new WorkerSession(startWorker(import.meta.url, "session-worker", { bytes, options }));
    await session.#answer(LOADED);
    return session;
  }

  /**
   * Runs the model once.
   * @param transfer whether the inputs' memory may be handed over; the caller must not use it afterwards.
   * @throws FaceError `MODEL_UNSUPPORTED` with the runtime's words when the inputs do not fit, `INTERNAL` when the
   *   thread is gone.
   */
  run(inputs: TensorMap, outputs?: readonly string[], { transfer = false } = {}): Promise<TensorMap> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    const request: RunRequest = { id, inputs, outputs };
    this.#worker.postMessage(request, transfer ? buffersOf(inputs.values()) : []);
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
