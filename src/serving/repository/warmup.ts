/** @file A model's first requests, answered before any client sees it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError, messageOf, systemCode } from "../../base/errors.ts";
import { zeros } from "../../base/tensor.ts";
import {
  type PredictionLog,
  PredictionLogSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { readRecords } from "../../savedmodel/format/tfrecord.ts";
import { WARMUP_FILE } from "../../savedmodel/format/warmup-file.ts";
import { DEFAULT_SIGNATURE } from "../../savedmodel/signature.ts";
import type { Servable } from "../engine/servable.ts";
import {
  classifyRpc,
  multiInferenceRpc,
  type PredictionContext,
  predictRpc,
  regressRpc,
} from "../grpc/prediction-service.ts";
import type { Models } from "../predict.ts";
import { StatusError } from "../status.ts";

const MOST_RECORDS = 1000;

/** How often to ask. */
export interface WarmupOptions {
  /** Times that each recorded request is sent. */
  readonly iterations: number;
}

/** Whatever a request names, it is answered by this model. */
function onlyThis(servable: Servable): Models {
  return { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
}

async function recordsOf(folder: string): Promise<Uint8Array[] | undefined> {
  const path = join(folder, WARMUP_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return readRecords(bytes, WARMUP_FILE);
  } catch (error) {
    throw new StatusError(
      "DATA_LOSS",
      `${messageOf(error)}. Please verify your warmup data is in TFRecord format.`,
      { cause: error },
    );
  }
}

function parseLog(record: Uint8Array): PredictionLog {
  try {
    return fromBinary(PredictionLogSchema, record);
  } catch (error) {
    throw new StatusError("INVALID_ARGUMENT", `Failed to parse warmup record: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function replay(context: PredictionContext, { logType }: PredictionLog, model: string): Promise<void> {
  const named = <R extends { modelSpec?: { name: string } | undefined }>(request: R): R => {
    if (request.modelSpec !== undefined) request.modelSpec.name = model;
    return request;
  };
  switch (logType.case) {
    case undefined:
      return;
    case "predictLog":
      // A request gives its tensors away, and this one may be sent again.
      await predictRpc(context, { ...named(logType.value.request!) }, {});
      return;
    case "classifyLog":
      await classifyRpc(context, named(logType.value.request!), {});
      return;
    case "regressLog":
      await regressRpc(context, named(logType.value.request!), {});
      return;
    case "multiInferenceLog": {
      const request = logType.value.request!;
      for (const task of request.tasks) named(task);
      await multiInferenceRpc(context, request, {});
      return;
    }
    default:
      throw new StatusError("UNIMPLEMENTED", `Unsupported log_type for warmup: ${logType.case}`);
  }
}

/**
 * Sends a new model the requests recorded beside it, or a blank one where there are none.
 * @returns how many requests were sent.
 * @throws StatusError or FaceError when one of the recorded requests fails: the version must not be served then.
 */
export async function warmUp(
  servable: Servable,
  folder: string,
  { iterations }: WarmupOptions,
): Promise<number> {
  const records = await recordsOf(folder);
  if (records === undefined) return askBlank(servable);
  if (records.length > MOST_RECORDS) {
    throw new StatusError(
      "INVALID_ARGUMENT",
      `Number of warmup records exceeds the maximum (${MOST_RECORDS}) at ${join(folder, WARMUP_FILE)}`,
    );
  }
  const context: PredictionContext = { models: onlyThis(servable), asTensorContent: true, limits: {} };
  const logs = records.map(parseLog);
  for (const log of logs) {
    for (let i = 0; i < Math.max(1, iterations); i++) await replay(context, log, servable.name);
  }
  return records.length;
}

/** One row of zeros for the default signature, so that the first client does not pay for the engine's preparations. */
async function askBlank(servable: Servable): Promise<number> {
  const signature = servable.signatures.get(DEFAULT_SIGNATURE);
  const inputs = [...(signature?.inputs ?? [])].map(([alias, { dtype, shape }]) => {
    const sides = shape?.map((side, axis) => (side < 0 && axis === 0 ? 1 : side));
    if (sides === undefined || dtype === "string" || sides.some((side) => side < 0)) return undefined;
    return [alias, zeros(dtype, sides)] as const;
  });
  const known = inputs.filter((input) => input !== undefined);
  if (signature === undefined || known.length < inputs.length) return 0;
  try {
    await servable.run(DEFAULT_SIGNATURE, new Map(known), [...signature.outputs.keys()]);
    return 1;
  } catch (error) {
    // A model may rightly refuse zeros; one that cannot run at all is no model.
    if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED") throw error;
    return 0;
  }
}
