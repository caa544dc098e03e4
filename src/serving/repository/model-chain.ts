/** @file What happens to a model between its folder and its first client: loaded, warmed up, put behind a queue. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { BatchingParametersSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { BatchedServable } from "../batching/batched-servable.ts";
import { BatchThreads } from "../batching/batcher.ts";
import { type BatchOptions, batchOptions } from "../batching/options.ts";
import { type ModelLoader, type Servable, servableText } from "../engine/servable.ts";
import { elapsedMicros, type ServerMetrics } from "../server-metrics.ts";
import { toStatusError } from "../status.ts";
import { readTextProto } from "./text-proto.ts";
import { type WarmupOptions, warmUp } from "./warmup.ts";

/** How models are made ready. */
export interface ChainOptions {
  readonly loader: ModelLoader;
  /** Undefined for no batching. */
  readonly batching: BatchOptions | undefined;
  /** Take each version's own `batching_params.pbtxt`; versions without one are not batched. */
  readonly perModelBatching: boolean;
  /** Undefined for no warm-up. */
  readonly warmup: WarmupOptions | undefined;
  readonly metrics: ServerMetrics;
  readonly log: Log;
}

const BATCHING_FILE = "batching_params.pbtxt";

/** The loader that a repository uses. */
export function modelChain(options: ChainOptions): ModelLoader {
  const { loader, metrics, batching } = options;
  const threads = new BatchThreads(batching?.threads ?? 1);
  const queued = new Set<BatchedServable>();
  metrics.watchQueues(() => [...queued].map((model) => [[model.name, String(model.version)], model.depth]));
  return async (folder, id, signal) => {
    const startedMs = performance.now();
    try {
      const servable = await loader(folder, id, signal);
      try {
        await warmed(servable, folder, options);
        const settings = await batchingOf(folder, options);
        metrics.loadAttempts.add([folder, "success"]);
        metrics.loadLatency.add([folder], elapsedMicros(startedMs));
        if (settings === undefined) return servable;
        const batched = new BatchedServable(servable, settings, threads, metrics);
        queued.add(batched);
        batched.onClose = () => queued.delete(batched);
        return batched;
      } catch (error) {
        await servable.close();
        throw error;
      }
    } catch (error) {
      metrics.loadAttempts.add([folder, "fail"]);
      throw error;
    }
  };
}

async function warmed(servable: Servable, folder: string, options: ChainOptions): Promise<void> {
  const { warmup, metrics, log } = options;
  if (warmup === undefined) return;
  const startedMs = performance.now();
  try {
    const requests = await warmUp(servable, folder, warmup);
    metrics.warmupLatency.observe([folder, "OK"], elapsedMicros(startedMs));
    log.info(`Warmed up servable ${servableText(servable)} with ${requests} requests`);
  } catch (error) {
    metrics.warmupLatency.observe([folder, toStatusError(error).status], elapsedMicros(startedMs));
    log.error(`Warming up servable ${servableText(servable)} failed: ${messageOf(error)}`);
    throw error;
  }
}

async function batchingOf(
  folder: string,
  { batching, perModelBatching }: ChainOptions,
): Promise<BatchOptions | undefined> {
  if (!perModelBatching || batching === undefined) return batching;
  const path = join(folder, BATCHING_FILE);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  return isThere ? batchOptions(await readTextProto(BatchingParametersSchema, path)) : undefined;
}
