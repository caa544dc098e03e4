/** @file Starts a worker thread from a module of ours, whether it runs as TypeScript source or as built JavaScript. */
import { Worker } from "node:worker_threads";

/**
 * Starts the module `name` (without extension) that lies beside the caller.
 * @param from the caller's `import.meta.url`, which also tells whether sources or the build are running.
 * @param options.heapMegabytes the most that JavaScript values may take; a thread that needs more ends with an error.
 */
export function startWorker(
  from: string,
  name: string,
  workerData: unknown,
  { heapMegabytes }: { heapMegabytes?: number } = {},
): Worker {
  // A program given by `node --input-type=module --eval` hands this flag on to threads, which end of it.
  const evaluated = process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const options = {
    workerData,
    ...(evaluated && { execArgv: [] }),
    ...(heapMegabytes !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } }),
  };
  if (!from.endsWith(".ts")) return new Worker(new URL(`${name}.js`, from), options);
  // Node 20 cannot read TypeScript by itself. Only development and tests run from source; they have tsx at hand.
  const loader = import.meta.resolve("tsx/esm/api");
  const source = new URL(`${name}.ts`, from).href;
  const start = `import(${JSON.stringify(loader)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(source)}); })`;
  return new Worker(start, { ...options, eval: true });
}
