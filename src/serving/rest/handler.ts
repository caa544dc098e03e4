/** @file The REST interface as a function from request to answer, without a socket. */
import type { IncomingHttpHeaders } from "node:http";
import { FaceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { ApiKey } from "../access/access.ts";
import { classify } from "../classify.ts";
import { detect, embed } from "../faces.ts";
import type { JsonCodec } from "../json/codec.ts";
import { signatureTypes } from "../json/codec-calls.ts";
import {
  writeErrorJson,
  writeIndentedJson,
  writeMetadataJson,
  writeModelsJson,
  writeStatusJson,
} from "../json/write.ts";
import type { ServerMetrics } from "../metrics.ts";
import type { Trace } from "../observe/trace.ts";
import type { ModelSwitch } from "../open-inference/models.ts";
import type { ImageUrls } from "../photos/image-urls.ts";
import type { PhotoThreads } from "../photos/photo-threads.ts";
import { predict } from "../predict.ts";
import { regress } from "../regress.ts";
import { type Catalog, statusOf } from "../repository/catalog.ts";
import { recordAnswer } from "../request.ts";
import type { RequestMemory } from "../request-memory.ts";
import { CLIENT_CODES, invalidArgument, STATUS, StatusError, toStatusError } from "../status.ts";
import { verify } from "../verify.ts";
import { type ModelAction, type ModelPath, parseModelPath } from "./path.ts";
import { readPair, readPhoto } from "./photo-body.ts";
import { isFormUpload, readUpload } from "./upload.ts";

/** Settings of the REST interface. */
export interface RestOptions {
  /** Time for a run in milliseconds; 0 or less for no limit. */
  readonly timeoutMs: number;
  readonly enableCors: boolean;
  /** `GET /v1/models` lists the models; otherwise it answers TensorFlow Serving's error. */
  readonly listModels: boolean;
  /** Predict takes raw tensors, images and forms by their content type; otherwise every body is JSON. */
  readonly acceptBinary: boolean;
}

/** What answering a REST request takes. */
export interface RestContext {
  readonly catalog: Catalog;
  /** Loads and unloads single models. */
  readonly modelSwitch: ModelSwitch;
  /** Whether another port changes which models are served. */
  readonly isAdministeredElsewhere?: boolean;
  readonly codec: JsonCodec;
  /** Finds faces in photographs; absent on a server without a detector. */
  readonly photos?: PhotoThreads | undefined;
  /** Fetches photographs that requests name by URL; absent where they may not. */
  readonly imageUrls?: ImageUrls | undefined;
  /** Whether clients may have keys. */
  readonly takesKeys?: boolean;
  readonly metrics: ServerMetrics;
  readonly log: Log;
  /** Aborted when the server is about to stop. */
  readonly draining?: AbortSignal;
  readonly options: RestOptions;
}

/** One request. */
export interface RestRequest {
  readonly id: string;
  readonly method: string;
  /** Path and query exactly as in the request line. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** The client's API key, where it sent one that may be used. */
  readonly key?: ApiKey | undefined;
  readonly trace?: Trace | undefined;
  readonly body: Uint8Array;
  /** For the request's tensors. */
  readonly memory: RequestMemory;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

type Body = Uint8Array | string;

/** One answer. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

const JSON_TYPE = { "content-type": "application/json" } as const;
const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, GET",
  "access-control-allow-headers": "Content-Type",
} as const;
const CORS_WITH_KEYS = { ...CORS_HEADERS, "access-control-allow-headers": "Content-Type, Authorization" };

/** Answers a request under `/v1/`. Never throws. */
export async function answerRest(context: RestContext, request: RestRequest): Promise<RestAnswer> {
  const cors = context.options.enableCors ? (context.takesKeys ? CORS_WITH_KEYS : CORS_HEADERS) : {};
  const { id, method, target } = request;
  if (method === "OPTIONS") {
    const isWeb = /https?:\/\//.test(request.headers.origin ?? "");
    return { status: isWeb ? 200 : 400, headers: cors, body: "" };
  }
  const startedMs = performance.now();
  const path = parseModelPath(method, target);
  const name = path.kind === "model" ? path.name : "";
  const verb = path.kind === "model" && method === "POST" ? path.action : "";
  const labels = [name, verb, "REST"] as const;
  const fields = { method, target, ...(request.trace !== undefined && { trace: request.trace.traceId }) };
  const record = { requestId: id, fields, startedMs, labels };
  const headers = { ...JSON_TYPE, ...cors };
  try {
    const body = await answerPath(context, request, path);
    recordAnswer(context, record);
    return { status: 200, headers, body };
  } catch (error) {
    const failure = toStatusError(error);
    recordAnswer(context, record, failure);
    if (OURS.has(verb)) return { headers, ...ourFailure(failure) };
    // TensorFlow Serving answers errors of reading the path without JSON.
    const body = path.kind === "undecodable" ? "" : writeErrorJson(failure.message);
    return { status: STATUS[failure.status].http, headers, body };
  }
}

async function answerPath(context: RestContext, request: RestRequest, path: ModelPath): Promise<Body> {
  switch (path.kind) {
    case "model":
      return ANSWERS[path.action](context, request, path);
    case "malformed":
      throw invalidArgument(`Malformed request: ${request.method} ${request.target}`);
    case "undecodable":
      throw invalidArgument("The path cannot be decoded.");
    case "list":
      if (context.options.listModels) return writeModelsJson(context.catalog);
      throw invalidArgument("Missing model name in request.");
    case "unnamed":
      throw invalidArgument("Missing model name in request.");
  }
}

type Answer = (
  context: RestContext,
  request: RestRequest,
  model: Extract<ModelPath, { kind: "model" }>,
) => Body | Promise<Body>;

const ANSWERS: { readonly [A in ModelAction]: Answer } = {
  status: ({ catalog }, _request, { name, version }) =>
    writeStatusJson(statusOf(catalog, name, version.by === "version" ? version.version : undefined)),

  metadata: ({ catalog }, _request, model) => {
    using lease = catalog.acquire(model);
    return writeMetadataJson(lease.servable);
  },

  predict: async (context, request, model) => {
    const { catalog, codec, options } = context;
    const { body, memory, signal } = request;
    const contentType = request.headers["content-type"] ?? "";
    const read =
      options.acceptBinary && isFormUpload(contentType)
        ? await readUpload(body, contentType, catalog, model, memory)
        : await codec.readPredict(body, signatureTypes(catalog, model), { signal, memory });
    const { signatureName, format } = read;
    const call = { model, signatureName, inputs: memory.adoptAll(read.inputs), outputFilter: [] };
    using limit = runLimit(context, request);
    const { outputs } = await predict(catalog, call, { signal: limit.signal, memory });
    memory.take(textBytes(outputs));
    // Outputs may be inputs unchanged, so the memory must last until they are written.
    return await codec.write("predictJson", [outputs, format], signal);
  },

  classify: async (context, request, model) => {
    const call = { model, ...(await context.codec.readExamples(request.body, request)) };
    using limit = runLimit(context, request);
    const answer = await classify(context.catalog, call, runOptions(limit, request));
    return await context.codec.write("classifyJson", [answer], request.signal);
  },

  regress: async (context, request, model) => {
    const call = { model, ...(await context.codec.readExamples(request.body, request)) };
    using limit = runLimit(context, request);
    const answer = await regress(context.catalog, call, runOptions(limit, request));
    return await context.codec.write("regressJson", [answer], request.signal);
  },

  verify: async (context, request, model) => {
    const call = await readPair(received(context, request));
    using limit = runLimit(context, request);
    return writeIndentedJson(await verify(verbContext(context), model, call, runOptions(limit, request)));
  },

  detect: async (context, request, model) => {
    const call = await readPhoto(received(context, request), []);
    using limit = runLimit(context, request);
    return writeIndentedJson(await detect(verbContext(context), model, call, runOptions(limit, request)));
  },

  embed: async (context, request, model) => {
    const call = await readPhoto(received(context, request), ["face", "strict"]);
    using limit = runLimit(context, request);
    return writeIndentedJson(await embed(verbContext(context), model, call, runOptions(limit, request)));
  },
};

/** Bytes that a number takes as text, and as an element. */
const NUMBER_BYTES = 16;

function textBytes(outputs: TensorMap): number {
  let numbers = 0;
  for (const { data } of outputs.values()) numbers += data.length;
  return numbers * NUMBER_BYTES;
}

/** The actions that TensorFlow Serving does not have; their errors have a code. */
const OURS: ReadonlySet<string> = new Set(["verify", "detect", "embed"] satisfies ModelAction[]);
/** Photographs that were read and understood, but show no face to answer about. */
const UNPROCESSABLE = 422;
const FACE_CODES: ReadonlySet<string> = new Set(["FACE_NOT_FOUND", "SEVERAL_FACES", "FACE_UNFIT"]);

/** The answer to a failure of one of our own actions. */
function ourFailure({ status, message, cause }: StatusError): { status: number; body: Uint8Array } {
  const code = cause instanceof FaceError && CLIENT_CODES.has(cause.code) ? cause.code : status;
  return {
    status: FACE_CODES.has(code) ? UNPROCESSABLE : STATUS[status].http,
    body: writeErrorJson(message, code),
  };
}

const verbContext = ({ catalog, photos }: RestContext) => ({ models: catalog, photos });

/** A request's body with what reads it. */
export const received = (
  { codec, imageUrls }: Pick<RestContext, "codec" | "imageUrls">,
  { body, headers, signal }: Pick<RestRequest, "body" | "headers" | "signal">,
) => ({
  body,
  contentType: headers["content-type"] ?? "",
  codec,
  imageUrls,
  signal,
});

const runOptions = ({ signal }: { signal: AbortSignal }, { memory }: RestRequest) => ({ signal, memory });

/** A signal that aborts when the client leaves or the time for a run, without reading and writing JSON, is over. */
export function runLimit(
  { options }: Pick<RestContext, "options">,
  { signal }: Pick<RestRequest, "signal">,
): Disposable & { signal: AbortSignal } {
  if (options.timeoutMs <= 0 || signal.aborted) return { signal, [Symbol.dispose]: () => undefined };
  // AbortSignal.any would do the same, but Node 20 never frees the signals it makes nor what listens to them.
  const either = new AbortController();
  const leave = () => either.abort(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  const timeout = setTimeout(() => {
    either.abort(new StatusError("DEADLINE_EXCEEDED", "Timed out waiting for notification"));
  }, options.timeoutMs);
  return {
    signal: either.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timeout);
      signal.removeEventListener("abort", leave);
    },
  };
}
