/** @file The bytes of a request, which are let go as soon as they have been read. */

/**
 * A request as grpc-js hands it to its handler and keeps it until the call has ended. Bytes that stayed with it while the
 * call waits for its turn would outlive the collections of the young generation, and be freed only by a full one.
 */
export class RequestBytes {
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @throws Error after `letGo`. */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw new Error("internal: a request was read twice");
    return this.#bytes;
  }

  letGo(): void {
    this.#bytes = undefined;
  }
}
