/** @file One model in several threads that take turns. */
import type { TensorMap } from "../../base/tensor.ts";
import { WorkerSession } from "./worker-session.ts";

/** Sessions of one model, one per lane, used in turn. */
export class SessionPool {
  readonly #sessions: readonly WorkerSession[];
  #next = 0;

  private constructor(sessions: readonly WorkerSession[]) {
    this.#sessions = sessions;
  }

  /** @param bytes an ONNX model with all its parameters. */
  static async open(bytes: Uint8Array, lanes: number): Promise<SessionPool> {
    return new SessionPool(await Promise.all(Array.from({ length: lanes }, () => WorkerSession.open(bytes))));
  }

  run(inputs: TensorMap): Promise<TensorMap> {
    this.#next = (this.#next + 1) % this.#sessions.length;
    return this.#sessions[this.#next]!.run(inputs);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}
