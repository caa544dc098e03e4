/** @file From a version's folder to a model that answers requests: loaded, warmed up, behind a batch queue. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readDescription, requireDescribed } from "../../artifact/description.ts";
import { findModel } from "../../artifact/find-model.ts";
import { sizesIn } from "../../artifact/signatures.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { usableCores } from "../../base/platform.ts";
import { collectWhenIdle } from "../../base/worker.ts";
import { BatchingParametersSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { WARMUP_FILE } from "../../savedmodel/format/warmup-file.ts";
import { BatchedServable } from "../batching/batched-servable.ts";
import { BatchThreads } from "../batching/batcher.ts";
import { type BatchOptions, batchOptions, defaultBatchOptions } from "../batching/options.ts";
import { loadOnnx } from "../engine/onnx-servable.ts";
import { loadSavedModel } from "../engine/savedmodel-servable.ts";
import { type ModelLoader, type Servable, servableText } from "../engine/servable.ts";
import { elapsedMicros, type ServerMetrics } from "../metrics.ts";
import { toStatusError } from "../status.ts";
import { readTextProto } from "./text-proto.ts";
import { warmUp } from "./warmup.ts";

export interface LoaderOptions {
  /** Size of each signature's session pool: runs at the same time, each in a thread. Default: one for each core. */
  readonly sessions?: number;
  /** Threads of a further session for a run that is alone, so that it has all cores. Default 1: no such session. */
  readonly aloneThreads?: number;
  /** Tags of the meta graph to serve. Default `serve`. */
  readonly tags?: readonly string[];
}

/**
 * Loads a version's folder: a SavedModel, or an ONNX file where there is no SavedModel. The default signature is open
 * when the promise resolves.
 */
export function savedModelLoader({
  sessions = usableCores(),
  aloneThreads = 1,
  tags = ["serve"],
}: LoaderOptions = {}): ModelLoader {
  return async (folder, id, signal) => {
    const found = await findModel(folder);
    const description = await readDescription(found.folder);
    const servable =
      found.format === "onnx"
        ? await loadOnnx(found.file, id, { sessions, aloneThreads }, description)
        : await loadSavedModel(found.file, id, { sessions, aloneThreads, tags }, description);
    try {
      requireDescribed(found.folder, description, sizesIn(servable.signatures));
      signal?.throwIfAborted();
    } catch (error) {
      await servable.close();
      throw error;
    }
    return servable;
  };
}

/** What is done with a model after it is loaded. */
export interface ServingSettings {
  /** How requests are put into batches; `false` runs each by itself. Default: `defaultBatchOptions`. */
  readonly batching?: BatchOptions | false | undefined;
  /** Use each version's own `batching_params.pbtxt`; versions without one are not batched. Default false. */
  readonly perModelBatching?: boolean;
  /** How often each recorded request is sent to a new version; `false` for no warm-up. Default 1. */
  readonly warmup?: number | false;
}

interface ServingLoaderOptions extends ServingSettings {
  readonly loader: ModelLoader;
  readonly metrics: ServerMetrics;
  readonly log: Log;
}

const BATCHING_FILE = "batching_params.pbtxt";

/** A loader that also warms up the model and puts it behind a batch queue. */
export function servingLoader(options: ServingLoaderOptions): ModelLoader {
  const { loader, metrics, batching = defaultBatchOptions(), perModelBatching = false } = options;
  const threads = new BatchThreads(batching === false ? 1 : batching.threads);
  const queued = new Set<BatchedServable>();
  metrics.watchQueues(() => [...queued].map((model) => [[model.name, String(model.version)], model.depth]));
  const prepare = async (servable: Servable, folder: string) => {
    await warmed(servable, folder, options);
    const settings = batching !== false && perModelBatching ? await batchingOf(folder) : batching;
    if (settings === false) return servable;
    const batched = new BatchedServable(servable, settings, threads, metrics);
    queued.add(batched);
    batched.onClose = () => queued.delete(batched);
    return batched;
  };
  return async (folder, id, signal) => {
    const startedMs = performance.now();
    let servable: Servable | undefined;
    try {
      servable = await loader(folder, id, signal);
      const ready = await prepare(servable, folder);
      metrics.loadAttempts.add([folder, "success"]);
      metrics.loadLatency.add([folder], elapsedMicros(startedMs));
      // Reading a model leaves several times its size.
      collectWhenIdle();
      return ready;
    } catch (error) {
      await servable?.close();
      metrics.loadAttempts.add([folder, "fail"]);
      throw error;
    }
  };
}

async function warmed(servable: Servable, folder: string, options: ServingLoaderOptions): Promise<void> {
  const { warmup = 1, metrics, log } = options;
  if (warmup === false) return;
  const startedMs = performance.now();
  try {
    const requests = await warmUp(servable, folder, { iterations: warmup });
    metrics.warmupLatency.observe([folder, "OK"], elapsedMicros(startedMs));
    if (existsSync(join(folder, WARMUP_FILE))) metrics.warmupRecords.add([folder, "OK"], requests);
    log.info(`Warmed up servable ${servableText(servable)} with ${requests} requests`);
  } catch (error) {
    metrics.warmupLatency.observe([folder, toStatusError(error).status], elapsedMicros(startedMs));
    log.error(`Warming up servable ${servableText(servable)} failed: ${messageOf(error)}`);
    throw error;
  }
}

async function batchingOf(folder: string): Promise<BatchOptions | false> {
  const path = join(folder, BATCHING_FILE);
  return existsSync(path) && batchOptions(await readTextProto(BatchingParametersSchema, path));
}
