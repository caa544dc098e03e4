/** @file TensorFlow Serving's request logging: a sample of a model's requests with their answers, as files that a warm-up replays. */
import { randomInt } from "node:crypto";
import { appendFile } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { messageOf } from "../../base/errors.ts";
import { makeFolder } from "../../base/files.ts";
import type { Log } from "../../base/log.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { ModelConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  ClassificationRequestSchema,
  MultiInferenceRequestSchema,
  PredictRequestSchema,
  RegressionRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { writeRecords } from "../../savedmodel/format/tfrecord.ts";
import { MOST_WARMUP_RECORDS } from "../../savedmodel/format/warmup-file.ts";
import { blockSize, WireType, WireWriter } from "../grpc/wire.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** Kinds of requests with their fields in a PredictionLog. */
const FIELDS = { classify: 2, regress: 3, multiInference: 4, predict: 6 } as const;
type Kind = keyof typeof FIELDS;

/** Larger requests are not recorded, nor answers that would make the record larger: they are written on the event loop. */
const MOST_BYTES = 4 * 2 ** 20;
/** What may wait to be written; what comes beyond is lost. */
const MOST_WAITING = 16 * MOST_BYTES;

/** Takes the answer of a request that is recorded. */
type Finish = (response: () => Uint8Array) => void;

/** Records a sample of one model's requests. */
export interface RequestRecorder {
  /**
   * Decides whether a request is in the sample.
   * @param bytes about how large it is.
   * @param request writes it, at once.
   * @returns what takes its answer; undefined for a request that is not recorded.
   */
  begin(kind: Kind, bytes: number, request: () => Uint8Array): Finish | undefined;
}

/** The path of a model's records without its end; undefined where nothing is wanted. */
interface Wanted {
  readonly path: string;
  readonly rate: number;
}

/** A message within a message within a PredictionLog. */
function logBytes(kind: Kind, request: Uint8Array, response: Uint8Array): Uint8Array {
  const size = blockSize(1, request.length) + blockSize(2, response.length);
  const writer = new WireWriter(blockSize(FIELDS[kind], size));
  writer.tag(FIELDS[kind], WireType.bytes);
  writer.varint(size);
  writer.block(1, request);
  writer.block(2, response);
  return writer.bytes;
}

/** All files of a server, within one folder: a client that may reload the configuration names them. */
export class RequestLog {
  readonly #folder: string;
  readonly #log: Log;
  readonly #recorders = new Map<string, Recorder>();

  constructor(folder: string, log: Log) {
    this.#folder = resolve(folder);
    this.#log = log;
  }

  /** @throws StatusError `INVALID_ARGUMENT` for what cannot be done. */
  check(model: ModelConfig): Wanted | undefined {
    const { loggingConfig, name } = model;
    if (loggingConfig === undefined) return undefined;
    const { logCollectorConfig, samplingConfig } = loggingConfig;
    const wrong = (what: string) => invalidArgument(`logging_config of model ${name}: ${what}`);
    const { type = "", filenamePrefix = "" } = logCollectorConfig ?? {};
    if (type !== "" && type !== "file") throw wrong(`no log collector of type "${type}"; there is "file"`);
    const path = resolve(this.#folder, filenamePrefix);
    if (filenamePrefix === "" || filenamePrefix.includes("\0") || !path.startsWith(this.#folder + sep)) {
      throw wrong(`filename_prefix "${filenamePrefix}" is no name within --request_log_dir`);
    }
    const rate = samplingConfig?.samplingRate;
    if (rate === undefined || !(rate >= 0 && rate <= 1)) {
      throw wrong(`sampling_config has the sampling_rate ${rate ?? "(none)"}, expected 0 to 1`);
    }
    return { path, rate };
  }

  /** The recorder of a model whose configuration was checked. */
  recorder(model: ModelConfig): RequestRecorder | undefined {
    const wanted = this.check(model);
    if (wanted === undefined || wanted.rate === 0) return undefined;
    const key = JSON.stringify(wanted);
    const recorder = this.#recorders.get(key) ?? new Recorder(wanted, this.#log);
    this.#recorders.set(key, recorder);
    return recorder;
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    await Promise.all([...this.#recorders.values()].map((recorder) => recorder.close()));
  }
}

const RATE_STEPS = 2 ** 32;

class Recorder implements RequestRecorder {
  readonly #wanted: Wanted;
  readonly #log: Log;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #file = "";
  #inFile = 0;
  #lost = 0;
  #isFailing = false;
  #writing: Promise<void> | undefined;

  constructor(wanted: Wanted, log: Log) {
    this.#wanted = wanted;
    this.#log = log;
  }

  begin(kind: Kind, bytes: number, request: () => Uint8Array): Finish | undefined {
    if (randomInt(RATE_STEPS) >= this.#wanted.rate * RATE_STEPS || bytes > MOST_BYTES) return undefined;
    const sent = request();
    return (response) => {
      try {
        this.#add(logBytes(kind, sent, response()));
      } catch (error) {
        this.#log.error("a request was not recorded", { cause: messageOf(error) });
      }
    };
  }

  #add(record: Uint8Array): void {
    if (this.#waitingBytes + record.length > MOST_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push(record);
    this.#waitingBytes += record.length;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes what waits, a file's worth at a time. */
  async #write(): Promise<void> {
    // Requests that end together are written together.
    await new Promise((done) => setImmediate(done));
    while (this.#waiting.length > 0) {
      if (this.#file === "" || this.#inFile >= MOST_WARMUP_RECORDS) this.#begin();
      const records = this.#waiting.splice(0, MOST_WARMUP_RECORDS - this.#inFile);
      for (const { length } of records) this.#waitingBytes -= length;
      try {
        await makeFolder(dirname(this.#file), 0o700);
        await appendFile(this.#file, writeRecords(records), { mode: 0o600 });
        this.#inFile += records.length;
        this.#isFailing = false;
        if (this.#lost > 0) this.#log.warn("requests were not recorded", { requests: this.#lost });
        this.#lost = 0;
      } catch (error) {
        this.#lost += records.length;
        // Half a record may be in the file.
        this.#file = "";
        if (!this.#isFailing) this.#log.error("requests cannot be recorded", { cause: messageOf(error) });
        this.#isFailing = true;
      }
    }
  }

  #begin(): void {
    const time = new Date().toISOString().replaceAll(/[-:]/g, "");
    this.#file = `${this.#wanted.path}-${time}-${process.pid}.tfrecord`;
    this.#inFile = 0;
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }
}

/** The refusal of a server without a folder for requests, in TensorFlow Serving's words. */
export function noRequestLog(): StatusError {
  return new StatusError("FAILED_PRECONDITION", "No request-logger-creator provided.");
}

interface Asked {
  readonly name: string;
  readonly signatureName: string;
}

const specOf = ({ name, signatureName }: Asked) => ({ name, signatureName });

/** A PredictRequest. */
export function predictRequest(asked: Asked, inputs: TensorMap, outputFilter: readonly string[]): Uint8Array {
  const tensors = [...inputs].map(
    ([alias, value]) => [alias, tensorToProto(value, { asContent: true })] as const,
  );
  const request = create(PredictRequestSchema, {
    modelSpec: specOf(asked),
    inputs: Object.fromEntries(tensors),
    outputFilter: [...outputFilter],
  });
  return toBinary(PredictRequestSchema, request);
}

/** Examples as they came, in an Input. */
function inputBytes(examples: readonly Uint8Array[]): Uint8Array {
  const size = examples.reduce((sum, { length }) => sum + blockSize(1, length), 0);
  const writer = new WireWriter(blockSize(1, size));
  writer.tag(1, WireType.bytes);
  writer.varint(size);
  for (const example of examples) writer.block(1, example);
  return writer.bytes;
}

/** Both requests have the model in field 1 and the examples in field 2; merged messages are concatenated. */
function withInput(head: Uint8Array, examples: readonly Uint8Array[]): Uint8Array {
  const input = inputBytes(examples);
  const writer = new WireWriter(blockSize(2, input.length));
  writer.block(2, input);
  return Buffer.concat([head, writer.bytes]);
}

/** A ClassificationRequest or a RegressionRequest. */
export function exampleRequest(
  kind: "classify" | "regress",
  asked: Asked,
  examples: readonly Uint8Array[],
): Uint8Array {
  const schema = kind === "classify" ? ClassificationRequestSchema : RegressionRequestSchema;
  return withInput(toBinary(schema, create(schema, { modelSpec: specOf(asked) })), examples);
}

/** A MultiInferenceRequest. */
export function multiInferenceRequest(
  tasks: readonly (Asked & { readonly methodName: string })[],
  examples: readonly Uint8Array[],
): Uint8Array {
  const request = create(MultiInferenceRequestSchema, {
    tasks: tasks.map((task) => ({ modelSpec: specOf(task), methodName: task.methodName })),
  });
  return withInput(toBinary(MultiInferenceRequestSchema, request), examples);
}
