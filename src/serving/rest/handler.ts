/** @file The REST interface as a function from request to answer, without a socket. */
import type { IncomingHttpHeaders } from "node:http";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { classify, regress } from "../classify.ts";
import type { JsonCodec } from "../json/codec.ts";
import type { SignatureLookup } from "../json/job.ts";
import type { PredictJson } from "../json/tensors.ts";
import { writeClassifyJson, writeErrorJson, writeRegressJson } from "../json/write.ts";
import { type ModelChoice, type Models, predict, type VersionChoice } from "../predict.ts";
import { type Catalog, statusOf } from "../repository/catalog.ts";
import { RequestMemory } from "../request-memory.ts";
import type { ServerMetrics } from "../server-metrics.ts";
import { invalidArgument, STATUS, type StatusCode, StatusError, toStatusError } from "../status.ts";
import { verifyUpload } from "../verify.ts";
import { isFormUpload, readUpload } from "./form-tensors.ts";
import { type ModelPath, parseModelPath } from "./path.ts";
import { metadataJson, modelsJson, statusJson } from "./status-json.ts";

/** What can be set about the REST interface. */
export interface RestOptions {
  /** Time for a run in milliseconds; 0 or less for no limit. */
  readonly timeoutMs: number;
  readonly enableCors: boolean;
  /** `GET /v1/models` lists the models; otherwise it is the error it is in TensorFlow Serving. */
  readonly listModels: boolean;
  /** Predict takes raw tensors, images and forms by their content type; otherwise every body is JSON. */
  readonly acceptBinary: boolean;
}

/** What the REST interface works with. */
export interface RestContext {
  readonly catalog: Catalog;
  readonly codec: JsonCodec;
  readonly metrics: ServerMetrics;
  readonly log: Log;
  readonly options: RestOptions;
}

/** One request. */
export interface RestRequest {
  readonly id: string;
  readonly method: string;
  /** Path, query and all, as it stood in the request line. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

/** One answer. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

const JSON_TYPE = { "content-type": "application/json" } as const;
const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, GET",
  "access-control-allow-headers": "Content-Type",
} as const;

type ChosenPath = Extract<ModelPath, { kind: "model" }>;

/** Answers a request under `/v1/`. Never throws. */
export async function answerRest(context: RestContext, request: RestRequest): Promise<RestAnswer> {
  const cors = context.options.enableCors ? CORS_HEADERS : {};
  if (request.method === "OPTIONS") return { ...preflight(request), headers: cors };
  const startedMs = performance.now();
  const path = parseModelPath(request.method, request.target);
  const model = path.kind === "model" ? path.name : "";
  const verb = path.kind === "model" && request.method === "POST" ? path.action : "";
  try {
    const body = await answerPath(context, request, path);
    context.metrics.request(model, verb, "REST", "OK", startedMs);
    logAnswer(context, request, "OK", startedMs);
    return { status: 200, headers: { ...JSON_TYPE, ...cors }, body };
  } catch (error) {
    const answer = toStatusError(error);
    context.metrics.request(model, verb, "REST", answer.status, startedMs);
    logAnswer(context, request, answer.status, startedMs);
    if (answer.cause !== undefined || answer.status === "INTERNAL") {
      const cause = messageOf(answer.cause ?? answer);
      // What is wrong with a request is the client's to read; the log is for what is wrong here.
      const level = answer.status === "INVALID_ARGUMENT" ? "debug" : "error";
      context.log[level]("a request failed", { requestId: request.id, target: request.target, cause });
    }
    // Errors found while reading the path never reach TensorFlow Serving's JSON writer.
    const body = path.kind === "undecodable" ? "" : writeErrorJson(answer.message);
    return { status: STATUS[answer.status].http, headers: { ...JSON_TYPE, ...cors }, body };
  }
}

function logAnswer({ log }: RestContext, request: RestRequest, status: StatusCode, startedMs: number): void {
  const ms = Math.round(performance.now() - startedMs);
  log.debug("answered", {
    requestId: request.id,
    method: request.method,
    target: request.target,
    status,
    ms,
  });
}

function preflight({ headers }: RestRequest): { status: number; body: string } {
  const origin = headers.origin ?? "";
  return { status: origin.includes("http://") || origin.includes("https://") ? 200 : 400, body: "" };
}

async function answerPath(
  context: RestContext,
  request: RestRequest,
  path: ModelPath,
): Promise<Uint8Array | string> {
  switch (path.kind) {
    case "malformed":
      throw invalidArgument(`Malformed request: ${request.method} ${request.target}`);
    case "undecodable":
      throw invalidArgument("The path cannot be decoded.");
    case "list":
      if (context.options.listModels) return modelsJson(context.catalog);
      throw invalidArgument("Missing model name in request.");
    case "unnamed":
      throw invalidArgument("Missing model name in request.");
    case "model":
      return answerModel(context, request, path);
  }
}

async function answerModel(
  context: RestContext,
  request: RestRequest,
  path: ChosenPath,
): Promise<Uint8Array | string> {
  const { catalog, codec } = context;
  const model: ModelChoice = { name: path.name, version: path.version };
  switch (path.action) {
    case "status":
      return statusJson(statusOf(catalog, path.name, versionNumber(path.version)));
    case "metadata": {
      using lease = catalog.acquire(model);
      return metadataJson(lease.servable);
    }
    case "predict":
      return answerPredict(context, request, model);
    case "verify":
      return withTimeout(context, request, (signal) =>
        verifyUpload(catalog, model, request.headers["content-type"] ?? "", request.body, { signal }),
      );
    case "classify": {
      const call = { model, ...(await codec.readExamples(request.body, request.signal)) };
      return withTimeout(context, request, async (signal) =>
        writeClassifyJson((await classify(catalog, call, { signal })).classifications),
      );
    }
    case "regress": {
      const call = { model, ...(await codec.readExamples(request.body, request.signal)) };
      return withTimeout(context, request, async (signal) =>
        writeRegressJson((await regress(catalog, call, { signal })).values),
      );
    }
  }
}

function versionNumber(version: VersionChoice): bigint | undefined {
  return version.by === "version" ? version.version : undefined;
}

/** Gives up when the time for REST requests is over or the client has left. */
async function withTimeout<T>(
  { options }: RestContext,
  request: RestRequest,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (options.timeoutMs <= 0 || request.signal.aborted) return work(request.signal);
  // AbortSignal.any would do the same, but Node 20 keeps what it makes, and all that hangs on it, for ever.
  const either = new AbortController();
  const leave = () => either.abort(request.signal.reason);
  request.signal.addEventListener("abort", leave, { once: true });
  const timeout = setTimeout(() => {
    either.abort(new StatusError("DEADLINE_EXCEEDED", "Timed out waiting for notification"));
  }, options.timeoutMs);
  try {
    return await work(either.signal);
  } finally {
    clearTimeout(timeout);
    request.signal.removeEventListener("abort", leave);
  }
}

/** The input types of the model that is meant, or why there is none; looked at only after the JSON was read. */
export function lookupSignatures(models: Models, model: ModelChoice): SignatureLookup {
  try {
    using lease = models.acquire(model);
    const signatures = new Map(
      [...lease.servable.signatures].map(([name, { inputs }]) => [
        name,
        new Map([...inputs].map(([alias, { dtype }]) => [alias, dtype])),
      ]),
    );
    return { signatures };
  } catch (error) {
    const { status, message } = toStatusError(error);
    return { error: { status, message } };
  }
}

/** The time for a run does not count reading and writing JSON. */
async function answerPredict(
  context: RestContext,
  request: RestRequest,
  model: ModelChoice,
): Promise<Uint8Array> {
  const { catalog, codec, options } = context;
  const contentType = request.headers["content-type"] ?? "";
  using memory = new RequestMemory();
  const isUpload = options.acceptBinary && isFormUpload(contentType);
  const { signatureName, inputs, format }: PredictJson = isUpload
    ? await readUpload(request.body, contentType, catalog, model, memory)
    : await readJson(context, request, model, memory);
  const call = { model, signatureName, inputs, outputFilter: [] };
  const { outputs } = await withTimeout(context, request, (signal) =>
    predict(catalog, call, { signal, memory }),
  );
  // Not before the answer is written: outputs may be inputs as they came.
  return await codec.writePredict(outputs, format, request.signal);
}

async function readJson(
  { catalog, codec }: RestContext,
  request: RestRequest,
  model: ModelChoice,
  memory: RequestMemory,
): Promise<PredictJson> {
  const read = await codec.readPredict(request.body, lookupSignatures(catalog, model), {
    signal: request.signal,
    memory,
  });
  return { ...read, inputs: new Map([...read.inputs].map(([name, value]) => [name, memory.adopt(value)])) };
}
