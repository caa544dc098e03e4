/** @file The worker thread behind WorkerSession: loads one model, then runs what it is sent, one request at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { openRuntime, type RuntimeOptions } from "./runtime.ts";
import { buffersOf, LOADED, type RunReply, type RunRequest } from "./worker-session.ts";

const { bytes, options } = workerData as { bytes: Uint8Array; options: RuntimeOptions };

function fail(id: number, error: unknown): void {
  const code = error instanceof FaceError ? error.code : "MODEL_UNSUPPORTED";
  const reply: RunReply = { id, failure: { code, message: messageOf(error) } };
  parentPort?.postMessage(reply);
}

async function serve(): Promise<void> {
  const session = await openRuntime(bytes, options);
  const answer = async ({ id, inputs, outputs }: RunRequest) => {
    try {
      const results = await session.run(inputs, outputs);
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
