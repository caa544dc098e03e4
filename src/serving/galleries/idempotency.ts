/** @file Repeated requests with one `Idempotency-Key` get the first answer (draft-ietf-httpapi-idempotency-key-header). */
import type { RestAnswer } from "../rest/handler.ts";
import { invalidArgument, StatusError } from "../status.ts";

interface Kept {
  readonly fingerprint: string;
  readonly answer: Promise<RestAnswer>;
  readonly untilMs: number;
}

/** A day: clients that repeat do so within minutes. */
const KEPT_MS = 86_400_000;
const MOST = 10_000;
const KEY = /^[\x21-\x7e]{1,255}$/;
const FIRST_SERVER_FAULT = 500;

/** Answers by key, in memory: a server that was started anew has none. */
export class IdempotencyKeys {
  readonly #kept = new Map<string, Kept>();

  /**
   * Answers a request, or repeats its answer; one that failed through the server's fault is done again.
   * @param whose what tells the keys of callers and galleries apart.
   * @param fingerprint of the request.
   * @throws StatusError `INVALID_ARGUMENT` for what is no key, `FAILED_PRECONDITION` for the key of another request.
   */
  async answer(
    whose: string,
    key: string | undefined,
    fingerprint: string,
    work: () => Promise<RestAnswer>,
  ): Promise<RestAnswer> {
    if (key === undefined) return await work();
    if (!KEY.test(key)) throw invalidArgument("Idempotency-Key must be 1 to 255 printable characters");
    const name = `${whose}\0${key}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined && kept.untilMs > Date.now()) {
      if (kept.fingerprint === fingerprint) return await kept.answer;
      throw new StatusError("FAILED_PRECONDITION", "This Idempotency-Key was used for another request");
    }
    this.#makeRoom();
    const answer = work();
    this.#kept.set(name, { fingerprint, answer, untilMs: Date.now() + KEPT_MS });
    try {
      const done = await answer;
      if (done.status >= FIRST_SERVER_FAULT) this.#kept.delete(name);
      return done;
    } catch (error) {
      this.#kept.delete(name);
      throw error;
    }
  }

  /** The oldest go first: a map keeps the order of insertion. */
  #makeRoom(): void {
    for (const [name, { untilMs }] of this.#kept) {
      if (this.#kept.size < MOST && untilMs > Date.now()) return;
      this.#kept.delete(name);
    }
  }
}
