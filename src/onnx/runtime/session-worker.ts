/** @file The worker thread behind SessionPool: loads one model, then runs it, one call at a time. */
import { FaceError, messageOf } from "../../base/errors.ts";
import { arrayOf, buffersOf, bytesPerElement, sizeOf, type Tensor } from "../../base/tensor.ts";
import { collectWhenIdle, lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import { rowParts, runInParts } from "./row-parts.ts";
import { openRuntime } from "./runtime.ts";
import type { SessionCalls, SessionData, SharedInput } from "./session-pool.ts";

/** Larger inputs are rare and would be kept for ever. */
const MOST_KEPT_BYTES = 8 * 2 ** 20;
/** Copies of shared inputs by name, since the runtime reads no shared memory. Calls take turns, so they share it. */
const gathered = new Map<string, ArrayBuffer>();

function gather(name: string, { dtype, shape, parts }: SharedInput): Tensor {
  const bytes = sizeOf(shape) * bytesPerElement(dtype);
  let memory = gathered.get(name);
  if (memory === undefined || memory.byteLength < bytes) {
    memory = new ArrayBuffer(bytes);
    if (bytes <= MOST_KEPT_BYTES) gathered.set(name, memory);
  }
  const data = new (arrayOf(dtype))(memory, 0, sizeOf(shape)) as Float32Array;
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { dtype, shape, data } as Tensor;
}

serveCalls<SessionCalls, SessionData>(
  async ({ bytes, options, niceness, rowsAtATime = Number.POSITIVE_INFINITY }) => {
    lowerPriority(niceness);
    // The runtime reads no shared memory.
    const session = await openRuntime(bytes.slice(), options);
    // Threads that share an operator take more rows, each its own.
    const rows = rowsAtATime * (options.threads ?? 1);
    collectWhenIdle();
    return {
      async run(inputs, outputs) {
        try {
          const ready = [...inputs].map(
            ([name, value]) => [name, "parts" in value ? gather(name, value) : value] as const,
          );
          const isLarge = ready.some(([, { data }]) => (data as Float32Array).byteLength > MOST_KEPT_BYTES);
          if (isLarge) collectWhenIdle();
          const results = await runInParts(rowParts(new Map(ready), rows), (part) =>
            session.run(part, outputs),
          );
          return new Moved(results, buffersOf(results.values()));
        } catch (error) {
          throw error instanceof FaceError ? error : new FaceError("MODEL_UNSUPPORTED", messageOf(error));
        }
      },
      [Symbol.asyncDispose]: () => session.close(),
    };
  },
);
