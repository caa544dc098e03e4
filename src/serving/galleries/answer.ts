/** @file Answers requests to the galleries: who may, what is asked, and what comes of it. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { openApiDocument } from "../../api/openapi.ts";
import { type Operation, type OperationId, operationOf } from "../../api/operations.ts";
import type {
  enrolFields,
  eventsQuery,
  identifyFields,
  mergeFields,
  peopleQuery,
  personFields,
  verifyFields,
} from "../../api/schemas.ts";
import { FaceError } from "../../base/errors.ts";
import { VERSION } from "../../base/platform.ts";
import type { Gallery } from "../../gallery/gallery.ts";
import type { Person, PersonChanges } from "../../gallery/people.ts";
import { imageFormat } from "../../image/decode.ts";
import { recordAnswer } from "../request.ts";
import { type RestAnswer, type RestContext, type RestRequest, received, runLimit } from "../rest/handler.ts";
import { type NamedPhoto, readOneOrMore, readPhotoBody } from "../rest/photo-body.ts";
import { invalidArgument, StatusError } from "../status.ts";
import {
  askedFor,
  checked,
  checkedQuery,
  fieldsFromTexts,
  fingerprintOf,
  type Parameters,
  parsedJson,
} from "./call.ts";
import { failureAnswer } from "./failures.ts";
import { identify, identifyPhotos } from "./identify.ts";
import {
  enrol,
  enrolledFaceAnswer,
  eventsAnswer,
  exportOf,
  faceOf,
  facesAnswer,
  galleryAnswer,
  peopleAnswer,
  personAnswer,
  photoOf,
  verifyPerson,
} from "./people.ts";
import type { GalleryService } from "./service.ts";

/** A request that may be answered once its body is here. */
export interface Admitted {
  readonly id: OperationId;
  readonly operation: Operation;
  readonly parameters: Parameters;
  readonly query: Readonly<Record<string, unknown>>;
  readonly actor: string;
}

type Line = Pick<RestRequest, "id" | "method" | "target" | "headers">;
type Asking = Pick<RestRequest, "headers" | "key">;

/** What an operation is answered from. */
interface Call {
  readonly service: GalleryService;
  /** The gallery's name, empty for operations without one. */
  readonly name: string;
  readonly gallery: Gallery;
  readonly parameters: Parameters;
  readonly query: Readonly<Record<string, unknown>>;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly image: Uint8Array;
  /** Where several photographs were sent. */
  readonly images?: readonly NamedPhoto[];
  readonly signal: AbortSignal;
  readonly headers: RestRequest["headers"];
  /** Whether the caller may read a gallery. */
  mayRead(gallery: string): boolean;
}

const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store" } as const;

const json = (value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): RestAnswer => ({
  status,
  headers: { ...JSON_HEADERS, ...headers },
  body: `${JSON.stringify(value)}\n`,
});
const nothing: RestAnswer = { status: 204, headers: { "cache-control": "no-store" }, body: "" };

/** A tag for what an answer says: any change of it is another tag. */
const tagOf = (value: unknown): string =>
  `"${createHash("sha256").update(JSON.stringify(value)).digest("base64url").slice(0, 22)}"`;

const tagsIn = (header: string): string[] => header.split(",").map((tag) => tag.trim());

function tagged(value: unknown, { headers }: Pick<Call, "headers">, status = 200): RestAnswer {
  const etag = tagOf(value);
  const given = tagsIn(headers["if-none-match"] ?? "").map((tag) => tag.replace(/^W\//, ""));
  if (status === 200 && (given.includes(etag) || given.includes("*"))) {
    return { status: 304, headers: { etag, "cache-control": "no-store" }, body: "" };
  }
  return json(value, status, { etag });
}

/** The version that a writer must still meet: of the person as they are, where the writer's tag is theirs. */
function versionMeant(person: Person, { headers }: Call): number | undefined {
  const wanted = headers["if-match"];
  if (wanted === undefined) return undefined;
  const tags = tagsIn(wanted);
  if (tags.includes("*") || tags.includes(tagOf(personAnswer(person)))) return person.version;
  throw new FaceError("PERSON_CHANGED", `${person.name} was changed since it was read`);
}

function changesOf({ name, notes, consent, expiresAt }: z.output<typeof personFields>) {
  return {
    name,
    notes: notes ?? {},
    consent: consent ?? null,
    expiresAt: expiresAt === undefined || expiresAt === null ? null : new Date(expiresAt),
  } satisfies PersonChanges;
}

const wishOf = ({ face, strict }: Pick<z.output<typeof enrolFields>, "face" | "strict">) => ({
  choice: face,
  strict,
});

const ANSWERS: { readonly [Id in OperationId]: (call: Call) => RestAnswer | Promise<RestAnswer> } = {
  getDocument: () => json(openApiDocument(VERSION)),
  getService: ({ service, mayRead }) =>
    json({ version: VERSION, galleries: [...service.open.keys()].filter(mayRead), model: service.model }),
  getFile: async ({ service, parameters }) => {
    const path = service.files.get(parameters.sha256!);
    if (path === undefined) throw new StatusError("NOT_FOUND", "There is no file of that digest");
    const headers = {
      "content-type": "application/octet-stream",
      // The digest is the address, so the content never changes; a proxy must not answer for the key.
      "cache-control": "private, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
    };
    return { status: 200, headers, body: await readFile(path) };
  },
  getReport: async ({ service }) => {
    if (service.report === undefined) {
      throw new StatusError("NOT_FOUND", "This server was given no report page of its model");
    }
    const headers = {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "private, no-cache",
      // A report holds its style and its pictures, and no program.
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
      "x-content-type-options": "nosniff",
    };
    return { status: 200, headers, body: await readFile(service.report) };
  },
  listGalleries: ({ service, mayRead }) =>
    json({
      galleries: [...service.open]
        .filter(([name]) => mayRead(name))
        .map(([name, { model }]) => ({ name, model: model.name })),
    }),
  getGallery: async ({ name, gallery }) => json(await galleryAnswer(name, gallery)),
  listEvents: async ({ gallery, query }) =>
    json(await eventsAnswer(gallery, query as z.output<typeof eventsQuery>)),
  listPeople: async ({ gallery, query }) =>
    json(await peopleAnswer(gallery, query as z.output<typeof peopleQuery>)),
  addPerson: async ({ name: galleryName, gallery, fields, headers }) => {
    const { name, ...changes } = changesOf(fields as z.output<typeof personFields>);
    if (changes.expiresAt !== null && changes.expiresAt.getTime() <= Date.now()) {
      throw invalidArgument("expiresAt is over, so that no search would find the person");
    }
    const person = personAnswer(await gallery.people.add(name, changes));
    const location = `/v1/galleries/${encodeURIComponent(galleryName)}/people/${person.id}`;
    const answer = tagged(person, { headers }, 201);
    return { ...answer, headers: { ...answer.headers, location } };
  },
  getPerson: async (call) =>
    tagged(personAnswer(await call.gallery.people.get(call.parameters.person!)), call),
  replacePerson: async (call) => {
    const { people } = call.gallery;
    const person = await people.get(call.parameters.person!);
    const changes = changesOf(call.fields as z.output<typeof personFields>);
    const changed = personAnswer(await people.update(person.id, changes, versionMeant(person, call)));
    return json(changed, 200, { etag: tagOf(changed) });
  },
  removePerson: async (call) => {
    const { people } = call.gallery;
    const person = await people.get(call.parameters.person!);
    await people.remove(person.id, versionMeant(person, call));
    return nothing;
  },
  mergePerson: async ({ gallery, parameters, fields }) => {
    const { into } = fields as z.output<typeof mergeFields>;
    return json(personAnswer(await gallery.people.merge(parameters.person!, into)));
  },
  verifyPerson: async ({ service, name, gallery, parameters, fields, image, signal }) => {
    const { far, ...wanted } = fields as z.output<typeof verifyFields>;
    const options = { far, wish: wishOf(wanted), signal };
    return json(await verifyPerson(service, name, gallery, parameters.person!, image, options));
  },
  exportPerson: async ({ gallery, parameters }) => ({
    status: 200,
    headers: { ...JSON_HEADERS, "content-type": "application/x-ndjson" },
    body: await exportOf(gallery, parameters.person!),
  }),
  listFaces: async ({ gallery, parameters }) => json(await facesAnswer(gallery, parameters.person!)),
  addFace: async ({ service, name, gallery, parameters, fields, image, signal }) => {
    const { keepPhoto, source, ...wanted } = fields as z.output<typeof enrolFields>;
    const options = { keepPhoto, source, wish: wishOf(wanted), signal };
    const enrolled = await enrol(service, name, gallery, parameters.person!, image, options);
    return json(enrolled, enrolled.isNew ? 201 : 200);
  },
  getFace: async (call) => {
    const { gallery, parameters } = call;
    return tagged(
      enrolledFaceAnswer(await faceOf(gallery, parameters.person!, parameters.face!), gallery),
      call,
    );
  },
  removeFace: async ({ gallery, parameters }) => {
    const { personId, id } = await faceOf(gallery, parameters.person!, parameters.face!);
    await gallery.faces.remove(personId, id);
    return nothing;
  },
  getPhoto: async ({ gallery, parameters }) => {
    const photo = await photoOf(gallery, parameters.person!, parameters.face!);
    const format = imageFormat(photo);
    const headers = {
      "content-type": format === undefined ? "application/octet-stream" : `image/${format}`,
      "cache-control": "private, no-store",
      // A file that somebody sent is shown as an image or not at all.
      "content-security-policy": "default-src 'none'; sandbox",
      "x-content-type-options": "nosniff",
    };
    return { status: 200, headers, body: photo };
  },
  identify: async ({ service, name, gallery, fields, image, images, signal }) => {
    const { fpir, candidates } = fields as z.output<typeof identifyFields>;
    const call = { fpir, candidates, signal };
    if (images !== undefined) return json(await identifyPhotos(service, name, gallery, images, call));
    return json(await identify(service, name, gallery, image, call));
  },
};

const noGallery = (name: string) =>
  new FaceError("GALLERY_NOT_FOUND", `there is no gallery ${JSON.stringify(name)}`);

/** Finds the operation and checks who asks; nothing of the body is needed. */
function admit(service: GalleryService, { method, target }: Line, asking: Asking): Admitted | RestAnswer {
  const asked = askedFor(method, target);
  if (asked.kind === "nothing") {
    // Who may do nothing learns nothing of what there is.
    service.access.authorise(asking, "predict", undefined);
    throw new StatusError("NOT_FOUND", "There is no such path; /v1/openapi.json lists them");
  }
  if (asked.kind === "otherMethod") {
    const { answer } = failureAnswer(
      new StatusError("UNIMPLEMENTED", `The path takes ${asked.allowed.join(", ")}, not ${method}`),
    );
    return { ...answer, status: 405, headers: { ...answer.headers, allow: asked.allowed.join(", ") } };
  }
  const { id, parameters } = asked;
  const operation = operationOf(id);
  const actor = service.access.authorise(asking, operation.scope, parameters.gallery);
  const { gallery } = parameters;
  if (gallery !== undefined && !service.open.has(gallery)) throw noGallery(gallery);
  return { id, operation, parameters, query: checkedQuery(operation.query, asked.query), actor };
}

const isAnswer = (value: Admitted | RestAnswer): value is RestAnswer => "status" in value;

/** The fields of a body, and its photograph or photographs. */
async function readBody(
  { body: schema, photo, mostPhotographs: most }: Operation,
  context: Pick<RestContext, "codec" | "imageUrls">,
  request: RestRequest,
): Promise<Pick<Call, "fields" | "image" | "images">> {
  const none = { fields: {}, image: new Uint8Array() };
  if (schema === undefined) {
    if (request.body.length > 0) throw invalidArgument("the request takes no body");
    return none;
  }
  if (photo === undefined) {
    const fields = parsedJson(request.body, request.headers["content-type"] ?? "");
    return { ...none, fields: checked("the body", schema, fields) };
  }
  const sent = received(context, request);
  const { fields, isForm, ...photos } =
    most === undefined ? await readPhotoBody(sent) : await readOneOrMore(sent, { name: "images", most });
  return {
    ...none,
    ...photos,
    fields: checked("the body", schema, isForm ? fieldsFromTexts(schema, fields) : fields),
  };
}

async function answerAdmitted(
  service: GalleryService,
  context: Pick<RestContext, "codec" | "imageUrls" | "options">,
  { id, operation, parameters, query, actor }: Admitted,
  request: RestRequest,
): Promise<RestAnswer> {
  const { headers } = request;
  const read = await readBody(operation, context, request);
  const name = parameters.gallery ?? "";
  const mayRead = (gallery: string) => {
    try {
      service.access.authorise(request, "read", gallery);
      return true;
    } catch {
      return false;
    }
  };
  using limit = runLimit(context, request);
  const call: Call = {
    service,
    name,
    // Operations without a gallery do not use it.
    gallery: service.open.get(name)?.as(actor) as Gallery,
    parameters,
    query,
    ...read,
    signal: limit.signal,
    headers,
    mayRead,
  };
  const work = async () => await ANSWERS[id](call);
  if (operation.idempotent === undefined) return await work();
  const key = headers["idempotency-key"];
  if (Array.isArray(key)) throw invalidArgument("there are two Idempotency-Key headers");
  const fingerprint = fingerprintOf(id, [parameters, read.fields], read.image);
  return await service.keys.answer(`${actor}\0${name}`, key, fingerprint, work);
}

/** An answer, and what is recorded of it. */
function recorded(
  service: GalleryService,
  context: RestContext,
  line: Line,
  startedMs: number,
  thrown?: unknown,
) {
  const failed = thrown === undefined ? undefined : failureAnswer(thrown);
  const fields = { method: line.method, target: line.target };
  recordAnswer(context, { requestId: line.id, fields, startedMs, labels: undefined }, failed?.failure);
  service.metrics.galleryRequests.add([failed?.failure.status ?? "OK"]);
  return failed?.answer;
}

/**
 * Decides about a request before its body is read.
 * @returns what `answerGallery` continues with, or the answer.
 */
export function admitGallery(
  service: GalleryService,
  context: RestContext,
  line: Line,
  key: RestRequest["key"],
): { readonly admitted: Admitted } | { readonly answer: RestAnswer } {
  const startedMs = performance.now();
  try {
    const admitted = admit(service, line, { headers: line.headers, key });
    return isAnswer(admitted) ? { answer: admitted } : { admitted };
  } catch (error) {
    return { answer: recorded(service, context, line, startedMs, error)! };
  }
}

/** Answers an admitted request. Never throws. */
export async function answerGallery(
  service: GalleryService,
  context: RestContext,
  admitted: Admitted,
  request: RestRequest,
): Promise<RestAnswer> {
  const startedMs = performance.now();
  try {
    const answer = await answerAdmitted(service, context, admitted, request);
    recorded(service, context, request, startedMs);
    return answer;
  } catch (error) {
    return recorded(service, context, request, startedMs, error)!;
  }
}
