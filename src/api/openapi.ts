/** @file The OpenAPI 3.1 document of the galleries' REST interface, made from the schemas that check requests. */
import { z } from "zod";
import { OPERATION_IDS, type Operation, operationOf } from "./operations.ts";
import { failure } from "./schemas.ts";

type Json = Readonly<Record<string, unknown>>;

/** Gathers schemas with names, and refers to them. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  refer(schema: z.ZodType, io: "input" | "output"): Json {
    const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, { io });
    const moved = JSON.parse(
      JSON.stringify({ root, $defs }).replaceAll('"#/$defs/', '"#/components/schemas/'),
    ) as { root: Json; $defs: Json };
    for (const [name, { id: _id, ...named }] of Object.entries(moved.$defs as Record<string, Json>)) {
      this.schemas[name] = named;
    }
    return moved.root;
  }
}

const IMAGE = {
  description: "An image file: base64 in an object or a data URL, or a URL where the server fetches them.",
  oneOf: [
    {
      type: "object",
      properties: { b64: { type: "string" } },
      required: ["b64"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { url: { type: "string" } },
      required: ["url"],
      additionalProperties: false,
    },
    { type: "string", pattern: "^data:" },
  ],
};
const FILE = { type: "string", contentMediaType: "application/octet-stream" };

const requiring = (fields: Json, name: string, value: Json): Json => ({
  ...fields,
  properties: { [name]: value, ...(fields.properties as Json) },
  required: [name, ...((fields.required as string[] | undefined) ?? [])],
});

/** Adds a photograph to the fields of a body, or several where that many may come. */
function withImage(fields: Json, image: Json, most: number | undefined): Json {
  const one = requiring(fields, "image", image);
  if (most === undefined) return one;
  const images = { type: "array", items: image, minItems: 1, maxItems: most };
  return { oneOf: [one, requiring(fields, "images", images)] };
}

function bodyOf({ body, photo, mostPhotographs }: Operation, components: Components): Json {
  if (body === undefined) return {};
  const fields = components.refer(body, "input");
  const content =
    photo === undefined
      ? { "application/json": { schema: fields } }
      : {
          "multipart/form-data": { schema: withImage(fields, FILE, mostPhotographs) },
          "application/json": { schema: withImage(fields, IMAGE, mostPhotographs) },
          "image/*": {},
        };
  return { requestBody: { required: true, content } };
}

const header = (name: string, description: string) => ({
  name,
  in: "header",
  description,
  schema: { type: "string" },
});

function parametersOf({ path, query, method, tagged, idempotent }: Operation): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: "path",
    required: true,
    description: name === "person" ? "Id or name; a name is percent-encoded." : `The ${name}.`,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { $schema: _, description, ...rest } = z.toJSONSchema(schema as z.ZodType, { io: "input" });
    return { name, in: "query", ...(description === undefined ? {} : { description }), schema: rest };
  });
  const conditional =
    tagged === undefined || method === "POST"
      ? []
      : method === "GET"
        ? [header("If-None-Match", "An ETag; 304 when it still holds.")]
        : [header("If-Match", "An ETag; 412 when it no longer holds.")];
  const key =
    idempotent === undefined
      ? []
      : [header("Idempotency-Key", "A repeated request with the same key and body gets the first answer.")];
  return [...inPath, ...inQuery, ...conditional, ...key];
}

const DESCRIPTIONS: Readonly<Record<number, string>> = { 200: "Done.", 201: "Made.", 204: "Removed." };

function answersOf({ answers, tagged, method }: Operation, components: Components): Json {
  const etag = tagged && method !== "DELETE" ? { headers: { ETag: { schema: { type: "string" } } } } : {};
  const content = (answer: Operation["answers"][number]): Json => {
    if (answer === undefined) return {};
    if (answer === "lines") return { content: { "application/x-ndjson": {} } };
    if (answer === "bytes") return { content: { "application/octet-stream": {} } };
    if (answer === "page") return { content: { "text/html": {} } };
    if (answer === "image") return { content: { "image/*": {} } };
    const schema = answer === "document" ? { type: "object" } : components.refer(answer, "output");
    return { content: { "application/json": { schema } } };
  };
  const entries = Object.entries(answers).map(([status, answer]) => [
    status,
    { description: DESCRIPTIONS[Number(status)], ...etag, ...content(answer) },
  ]);
  const unchanged = tagged && method === "GET" ? { 304: { description: "Not changed." } } : {};
  return {
    ...Object.fromEntries(entries),
    ...unchanged,
    default: {
      description: "Refused or failed.",
      content: { "application/json": { schema: components.refer(failure, "output") } },
    },
  };
}

/** The document. @param version of the program. */
export function openApiDocument(version: string): Json {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  for (const id of OPERATION_IDS) {
    const operation = operationOf(id);
    const parameters = parametersOf(operation);
    paths[operation.path] ??= {};
    paths[operation.path]![operation.method.toLowerCase()] = {
      operationId: id,
      summary: operation.summary,
      description: `Needs a key${operation.scope === "any" ? " of any scope" : ` with the scope \`${operation.scope}\``}, unless the server is on loopback without keys.`,
      ...(parameters.length === 0 ? {} : { parameters }),
      ...bodyOf(operation, components),
      responses: answersOf(operation, components),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "faceid galleries",
      version,
      description: "People, their faces, and who is on a photograph.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    // A relative URL: wherever the document was fetched from.
    servers: [{ url: "/" }],
    security: [{ key: [] }, {}],
    paths,
    components: {
      securitySchemes: { key: { type: "http", scheme: "bearer", description: "faceid keys add" } },
      schemas: components.schemas,
    },
  };
}
