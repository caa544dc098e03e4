/** @file The worker thread behind WorkerSession: loads one model, then runs what it is sent, one request at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { arrayOf, bytesPerElement } from "../../base/dtype.ts";
import { FaceError, messageOf } from "../../base/errors.ts";
import { sizeOf } from "../../base/shape.ts";
import type { Tensor } from "../../base/tensor.ts";
import { stepBack } from "../../base/worker.ts";
import { openRuntime, type RuntimeOptions } from "./runtime.ts";
import { buffersOf, LOADED, type RunReply, type RunRequest, type SharedInput } from "./worker-session.ts";

const { bytes, options, niceness } = workerData as {
  bytes: Uint8Array;
  options: RuntimeOptions;
  niceness: number;
};

function fail(id: number, error: unknown): void {
  const code = error instanceof FaceError ? error.code : "MODEL_UNSUPPORTED";
  const reply: RunReply = { id, failure: { code, message: messageOf(error) } };
  parentPort?.postMessage(reply);
}

/** Where shared inputs are brought together, by name: the runtime reads no shared memory. Runs take turns in it. */
const gathered = new Map<string, ArrayBuffer>();

function gather(name: string, { dtype, shape, parts }: SharedInput): Tensor {
  const bytes = sizeOf(shape) * bytesPerElement(dtype);
  let memory = gathered.get(name);
  if (memory === undefined || memory.byteLength < bytes) {
    memory = new ArrayBuffer(bytes);
    gathered.set(name, memory);
  }
  const data = new (arrayOf(dtype))(memory, 0, sizeOf(shape)) as Float32Array;
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { dtype, shape, data } as Tensor;
}

async function serve(): Promise<void> {
  stepBack(niceness);
  const session = await openRuntime(bytes, options);
  const answer = async ({ id, inputs, outputs }: RunRequest) => {
    try {
      const ready = new Map(
        [...inputs].map(([name, value]) => [name, "parts" in value ? gather(name, value) : value]),
      );
      const results = await session.run(ready, outputs);
      const reply: RunReply = { id, outputs: results };
      parentPort?.postMessage(reply, buffersOf(results.values()));
    } catch (error) {
      fail(id, error);
    }
  };
  let queue = Promise.resolve();
  parentPort?.on("message", (request: RunRequest) => {
    queue = queue.then(() => answer(request));
  });
  const loaded: RunReply = { id: LOADED, outputs: new Map() };
  parentPort?.postMessage(loaded);
}

serve().catch((error) => fail(LOADED, error));
