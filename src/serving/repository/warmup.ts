/** @file Sends a new version its first requests before clients can reach it. */
import { join } from "node:path";
import { type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { FaceError, messageOf, systemCode } from "../../base/errors.ts";
import { readRegular } from "../../base/files.ts";
import { zeros } from "../../base/tensor.ts";
import {
  ClassificationRequestSchema,
  MultiInferenceRequestSchema,
  type PredictionLog,
  PredictionLogSchema,
  PredictRequestSchema,
  RegressionRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { readRecords } from "../../savedmodel/format/tfrecord.ts";
import { MOST_WARMUP_RECORDS, WARMUP_FILE } from "../../savedmodel/format/warmup-file.ts";
import type { Servable } from "../engine/servable.ts";
import type { PredictionContext } from "../grpc/prediction-service.ts";
import { classifyRpc, multiInferenceRpc, predictRpc, regressRpc } from "../grpc/prediction-service.ts";
import { RequestBytes } from "../grpc/request-bytes.ts";
import { JsonCodec } from "../json/codec.ts";
import { StatusError } from "../status.ts";
import type { Models } from "./catalog.ts";

const LARGEST_FILE = 2 ** 30;

/** Settings of the warm-up. */
export interface WarmupOptions {
  /** How often each recorded request is sent; 0 for once. */
  readonly iterations: number;
}

/** Finds this model for every request. */
function onlyThis(servable: Servable): Models {
  return { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) };
}

async function recordsOf(folder: string): Promise<Uint8Array[] | undefined> {
  const path = join(folder, WARMUP_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await readRegular(path, LARGEST_FILE);
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

/** Kinds of recorded requests, and the calls that answer them. */
const REPLAYS = {
  predictLog: [PredictRequestSchema, predictRpc],
  classifyLog: [ClassificationRequestSchema, classifyRpc],
  regressLog: [RegressionRequestSchema, regressRpc],
  multiInferenceLog: [MultiInferenceRequestSchema, multiInferenceRpc],
} as const;

async function replay(context: PredictionContext, { logType }: PredictionLog, model: string): Promise<void> {
  if (logType.case === undefined) return;
  if (!(logType.case in REPLAYS)) {
    throw new StatusError("UNIMPLEMENTED", `Unsupported log_type for warmup: ${logType.case}`);
  }
  const { case: kind, value } = logType as Extract<typeof logType, { case: keyof typeof REPLAYS }>;
  const request = value.request!;
  const specs = "tasks" in request ? request.tasks.map(({ modelSpec }) => modelSpec) : [request.modelSpec];
  for (const spec of specs) if (spec !== undefined) spec.name = model;
  const [schema, rpc] = REPLAYS[kind];
  await rpc(context, new RequestBytes(toBinary<DescMessage>(schema, request)), {});
}

/**
 * Sends a new version the requests recorded in its folder, or a request of zeros where there are none.
 * @returns how many requests were sent.
 * @throws StatusError or FaceError when a recorded request fails; the version must not be served then.
 */
export async function warmUp(
  servable: Servable,
  folder: string,
  { iterations }: WarmupOptions,
): Promise<number> {
  const records = await recordsOf(folder);
  if (records === undefined) return sendZeros(servable);
  if (records.length > MOST_WARMUP_RECORDS) {
    throw new StatusError(
      "INVALID_ARGUMENT",
      `Number of warmup records exceeds the maximum (${MOST_WARMUP_RECORDS}) at ${join(folder, WARMUP_FILE)}`,
    );
  }
  await using codec = new JsonCodec({ workers: 1, maxQueued: 1 });
  const context = { models: onlyThis(servable), codec, asTensorContent: true, limits: {} };
  const logs = records.map(parseLog);
  for (const log of logs) {
    for (let i = 0; i < Math.max(1, iterations); i++) await replay(context, log, servable.name);
  }
  return records.length;
}

/** Sends one row of zeros to the default signature, so that the first client does not wait for the engine's allocations. */
async function sendZeros(servable: Servable): Promise<number> {
  const signature = servable.signatures.get(DEFAULT_SIGNATURE);
  const inputs = [...(signature?.inputs ?? [])].map(([alias, { dtype, shape }]) => {
    const sides = shape?.map((side, axis) => (side < 0 && axis === 0 ? 1 : side));
    if (sides === undefined || dtype === "string" || sides.some((side) => side < 0)) return undefined;
    return [alias, zeros(dtype, sides)] as const;
  });
  const known = inputs.filter((input) => input !== undefined);
  if (signature === undefined || known.length < inputs.length) return 0;
  if (servable.changesState?.(DEFAULT_SIGNATURE) === true) return 0;
  try {
    await servable.run(DEFAULT_SIGNATURE, new Map(known), [...signature.outputs.keys()]);
    return 1;
  } catch (error) {
    // A model may refuse zeros, but an operator that cannot run fails the version.
    if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED") throw error;
    return 0;
  }
}
