/** @file The Open Inference Protocol over REST: paths under `/v2`, as a function from request to answer. */
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { parseJson } from "../../artifact/json.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { refuseOtherSites } from "../access/access.ts";
import { writeErrorJson } from "../json/write.ts";
import { predict } from "../predict.ts";
import type { ModelChoice } from "../repository/catalog.ts";
import { recordAnswer } from "../request.ts";
import { type RestAnswer, type RestContext, type RestRequest, runLimit } from "../rest/handler.ts";
import { invalidArgument, STATUS, StatusError, toStatusError } from "../status.ts";
import type { InferBody } from "./body.ts";
import { areAllReady, isReady, type ModelSwitch, modelMetadata, SERVER, versionNamed } from "./models.ts";
import { modelSettings } from "./settings.ts";
import { modelStatistics } from "./statistics.ts";
import { rawSize } from "./tensors.ts";

const HEADER = "inference-header-content-length";
const JSON_TYPE = { "content-type": "application/json" } as const;
const UNAVAILABLE = 503;

type Answer = (
  context: RestContext,
  request: RestRequest,
  groups: Readonly<Record<string, string>>,
) => RestAnswer | Promise<RestAnswer>;

interface Route {
  readonly method: "GET" | "POST";
  readonly path: RegExp;
  readonly answer: Answer;
  /** Name of the call in the metrics; not counted without one. */
  readonly api?: string;
}

const json = (value: unknown, status = 200): RestAnswer => ({
  status,
  headers: JSON_TYPE,
  body: JSON.stringify(value),
});

const MODEL = "/models/(?<name>[^/]+)(?:/versions/(?<version>[^/]+))?";
const at = (path: string) => new RegExp(`^/v2${path}/?$`);

const ROUTES: readonly Route[] = [
  { method: "GET", path: at(""), answer: () => json(SERVER) },
  { method: "GET", path: at("/health/live"), answer: () => json({ live: true }) },
  {
    method: "GET",
    path: at("/health/ready"),
    answer: ({ catalog, draining }) => {
      const ready = draining?.aborted !== true && areAllReady(catalog);
      return json({ ready }, ready ? 200 : UNAVAILABLE);
    },
  },
  { method: "GET", path: at("/models"), answer: ({ catalog }) => json({ models: catalog.names() }) },
  {
    method: "GET",
    path: at("/models/stats"),
    answer: ({ catalog }) => json({ model_stats: modelStatistics(catalog) }),
  },
  {
    method: "GET",
    path: at(`${MODEL}/stats`),
    answer: ({ catalog }, _request, groups) =>
      json({ model_stats: modelStatistics(catalog, choiceOf(groups)) }),
  },
  {
    method: "GET",
    path: at(`${MODEL}/config`),
    answer: ({ catalog }, _request, groups) => json(modelSettings(catalog, choiceOf(groups))),
  },
  {
    method: "GET",
    path: at(MODEL),
    answer: ({ catalog }, _request, groups) => json(modelMetadata(catalog, choiceOf(groups))),
  },
  {
    method: "GET",
    path: at(`${MODEL}/ready`),
    answer: ({ catalog }, _request, groups) => {
      const ready = isReady(catalog, choiceOf(groups));
      return json({ name: groups.name, ready }, ready ? 200 : STATUS.NOT_FOUND.http);
    },
  },
  { method: "POST", path: at(`${MODEL}/infer`), answer: infer, api: "ModelInfer" },
  {
    method: "POST",
    path: at("/repository/index"),
    answer: ({ modelSwitch }, { body }) => json(modelSwitch.index(readIndexBody(body))),
  },
  {
    method: "POST",
    path: at("/repository/models/(?<name>[^/]+)/load"),
    answer: async (context, { headers }, { name = "" }) => {
      await administered(context, headers).load(name);
      return json({ model_name: name, isLoaded: true });
    },
  },
  {
    method: "POST",
    path: at("/repository/models/(?<name>[^/]+)/unload"),
    answer: async (context, { headers }, { name = "" }) => {
      await administered(context, headers).unload(name);
      return json({ model_name: name, isUnloaded: true });
    },
  },
];

/** @throws `PERMISSION_DENIED` where another port changes which models are served, and for pages of other sites. */
function administered(
  { modelSwitch, isAdministeredElsewhere }: RestContext,
  headers: IncomingHttpHeaders,
): ModelSwitch {
  refuseOtherSites(headers);
  if (isAdministeredElsewhere !== true) return modelSwitch;
  const message = "this port does not load or unload models; ask the administrators' port over gRPC";
  throw new StatusError("PERMISSION_DENIED", message);
}

/** Whether a request target belongs to this protocol. */
export const isV2 = (target: string) => /^\/v2(?:[/?]|$)/.test(target);

/** Answers a request under `/v2`. Never throws. */
export async function answerV2(context: RestContext, request: RestRequest): Promise<RestAnswer> {
  const { id, method, target } = request;
  const startedMs = performance.now();
  const [path = ""] = target.split("?", 1);
  const route = ROUTES.find((route) => route.method === method && route.path.test(path));
  const groups = decodedGroups(route?.path.exec(path)?.groups);
  const labels = route?.api === undefined ? undefined : ([groups.name ?? "", route.api, "REST"] as const);
  const record = { requestId: id, fields: { method, target }, startedMs, labels };
  try {
    if (route === undefined) throw notFound(method, path);
    const answer = await route.answer(context, request, groups);
    recordAnswer(context, record);
    return answer;
  } catch (error) {
    const failure = toStatusError(error);
    recordAnswer(context, record, failure);
    return { status: STATUS[failure.status].http, headers: JSON_TYPE, body: writeErrorJson(failure.message) };
  }
}

/** Names may be percent-encoded; what cannot be decoded stays as it is, and no model has such a name. */
function decodedGroups(groups: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
  const decode = (text: string) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  return Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, decode(text ?? "")]));
}

function notFound(method: string, path: string): StatusError {
  const other = ROUTES.find((route) => route.path.test(path));
  return other === undefined
    ? new StatusError(
        "NOT_FOUND",
        `no route ${path}; this server has /v2/models/NAME/infer and others, see its documentation`,
      )
    : invalidArgument(`${path} takes ${other.method}, got ${method}`);
}

const choiceOf = ({ name = "", version = "" }: Readonly<Record<string, string>>): ModelChoice => ({
  name,
  version: versionNamed(version),
});

const indexSchema = z.object({ ready: z.boolean().optional() });

function readIndexBody(body: Uint8Array): boolean {
  if (body.length === 0) return false;
  try {
    return indexSchema.parse(parseJson(Buffer.from(body).toString("utf8"))).ready ?? false;
  } catch (error) {
    throw new StatusError("INVALID_ARGUMENT", `the body must be {} or {"ready": true}`, { cause: error });
  }
}

async function infer(
  context: RestContext,
  request: RestRequest,
  groups: Readonly<Record<string, string>>,
): Promise<RestAnswer> {
  const { catalog, codec } = context;
  const { memory, signal, body } = request;
  const read = await codec.readInfer(body, jsonLengthOf(request), { signal, memory });
  using limit = runLimit(context, request);
  const { outputs, ...answered } = await predict(
    catalog,
    {
      model: choiceOf(groups),
      signatureName: read.signatureName,
      inputs: memory.adoptAll(read.inputs),
      outputFilter: read.outputs.map(({ name }) => name),
    },
    { signal: limit.signal, memory },
  );
  const binary = binaryOutputs(read, outputs);
  const bytes = await codec.write("inferJson", [outputs, { ...answered, id: read.id, binary }], signal);
  if (binary.size === 0) return { status: 200, headers: JSON_TYPE, body: bytes };
  let jsonLength = bytes.length;
  for (const name of binary) jsonLength -= rawSize(outputs.get(name)!);
  const headers = { "content-type": "application/octet-stream", [HEADER]: String(jsonLength) };
  return { status: 200, headers, body: bytes };
}

/** Where the JSON of a request ends. */
function jsonLengthOf({ headers, body }: RestRequest): number {
  const given = headers[HEADER];
  if (given === undefined) return body.length;
  const length = typeof given === "string" && /^[0-9]+$/.test(given) ? Number(given) : Number.NaN;
  if (length <= body.length) return length;
  throw invalidArgument(
    `Inference-Header-Content-Length is "${given}", but the body has ${body.length} bytes; it gives the length of the JSON`,
  );
}

/** Names of the outputs that come as raw bytes. */
function binaryOutputs({ outputs: wanted, isBinary }: InferBody, outputs: TensorMap): Set<string> {
  if (wanted.length === 0) return new Set(isBinary ? outputs.keys() : []);
  return new Set(wanted.flatMap((output) => (output.isBinary ? [output.name] : [])));
}
