/** @file Starts a worker thread from a module of ours, whether it runs as TypeScript source or as built JavaScript. */
import { type TransferListItem, Worker } from "node:worker_threads";

/**
 * Starts the module `name` (without extension) that lies beside the caller.
 * @param from the caller's `import.meta.url`, which also tells whether sources or the build are running.
 */
export function startWorker(
  from: string,
  name: string,
  workerData: unknown,
  transferList: readonly TransferListItem[] = [],
): Worker {
  const fromSource = from.endsWith(".ts");
  const url = new URL(`${name}.${fromSource ? "ts" : "js"}`, from);
  return new Worker(url, {
    workerData,
    transferList: [...transferList],
    // Node 20 cannot read TypeScript by itself; only development and tests run from source.
    ...(fromSource ? { execArgv: ["--import", "tsx"] } : {}),
  });
}
