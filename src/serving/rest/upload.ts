/** @file Request bodies that are not JSON: raw tensors, images and forms (`multipart/form-data`, RFC 7578). */
// Forms are read here because `Response.formData()` decodes a part without a file name as UTF-8, which destroys raw
// tensors, takes any number of parts, and grew the process by 69 MB over 60 forms with two JPEGs of 1 MB each, at 4.9
// ms a form; this reader did not grow it and took 0.9 ms (Node 20.20.2).

import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { bytesPerElement, sizeOf, type Tensor } from "../../base/tensor.ts";
import { imageFormat } from "../../image/decode.ts";
import { type ImageSettings, imageSize } from "../../image/settings.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import { imageBatch, imageSettingsOf } from "../engine/image-input.ts";
import type { PredictJson } from "../json/tensors.ts";
import type { ModelChoice, Models } from "../repository/catalog.ts";
import type { RequestMemory } from "../request-memory.ts";
import { invalidArgument, photosInstead } from "../status.ts";

/** One field of a form. */
export interface FormPart {
  readonly name: string;
  /** Whether it is a file, with or without a name. */
  readonly isFile: boolean;
  /** The file's name, where the sender says one. */
  readonly fileName?: string | undefined;
  readonly contentType: string;
  readonly data: Uint8Array;
}

/** More parts than any request needs. */
const MOST_PARTS = 1024;
const CRLF = "\r\n";

function parameter(header: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|;)\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, "i").exec(
    header,
  );
  return match?.[1]?.replace(/\\(.)/g, "$1") ?? match?.[2];
}

/**
 * Splits a form into its parts, whose data are views of the body.
 * @throws StatusError `INVALID_ARGUMENT` when the body is not a complete form.
 */
export function readForm(body: Uint8Array, contentType: string): FormPart[] {
  const boundary = parameter(contentType, "boundary");
  if (boundary === undefined || boundary === "") {
    throw invalidArgument("multipart/form-data needs a boundary in its content type");
  }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `--${boundary}`;
  const parts: FormPart[] = [];
  let at = bytes.indexOf(delimiter);
  while (at >= 0) {
    at += delimiter.length;
    if (bytes.toString("latin1", at, at + 2) === "--") return parts;
    const headersEnd = bytes.indexOf(`${CRLF}${CRLF}`, at);
    const next = bytes.indexOf(`${CRLF}${delimiter}`, headersEnd);
    if (headersEnd < 0 || next < 0) break;
    parts.push(readPart(bytes, at, headersEnd, next));
    if (parts.length > MOST_PARTS) throw invalidArgument(`a form may have at most ${MOST_PARTS} parts`);
    at = next + CRLF.length;
  }
  throw invalidArgument("the form ends before its closing boundary");
}

function readPart(bytes: Buffer, start: number, headersEnd: number, end: number): FormPart {
  const headers = new Map<string, string>();
  for (const line of bytes.toString("utf8", start, headersEnd).split(CRLF)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const disposition = headers.get("content-disposition") ?? "";
  const name = parameter(disposition, "name");
  if (name === undefined) throw invalidArgument("every part of a form needs a name");
  const contentType = headers.get("content-type") ?? "text/plain";
  const sent = bytes.subarray(headersEnd + 2 * CRLF.length, end);
  const isBase64 = headers.get("content-transfer-encoding")?.toLowerCase() === "base64";
  const data = isBase64 ? Buffer.from(sent.toString("latin1"), "base64") : sent;
  const fileName = parameter(disposition, "filename") || undefined;
  return { name, isFile: isFile(disposition, contentType, data), fileName, contentType, data };
}

/** A part is a file by its name, also in the form of RFC 5987 (`filename*`), by its type, or by an image's content. */
function isFile(disposition: string, contentType: string, data: Uint8Array): boolean {
  const fileName = parameter(disposition, "filename") || parameter(disposition, "filename\\*");
  return (
    Boolean(fileName) ||
    /^(?:image\/|application\/octet-stream)/i.test(contentType) ||
    imageFormat(data) !== undefined
  );
}

/** Whether a content type means a raw tensor, an image or a form. */
export function isFormUpload(contentType: string): boolean {
  return /^(?:application\/octet-stream|multipart\/form-data|image\/)/i.test(contentType);
}

/**
 * Reads such a body as the inputs of a signature. A form has one part for each input and row, and may name the signature
 * in a part `signature_name`; any other body is the single input of `serving_default`.
 * @throws StatusError `INVALID_ARGUMENT` when the body does not fit the signature, FaceError `IMAGE_UNREADABLE`.
 */
export async function readUpload(
  body: Uint8Array,
  contentType: string,
  models: Models,
  model: ModelChoice,
  memory: RequestMemory,
): Promise<PredictJson> {
  const isForm = /^multipart\/form-data/i.test(contentType);
  const parts = isForm ? readForm(body, contentType) : [];
  const named = parts.find((part) => part.name === "signature_name");
  const signatureName = named === undefined ? DEFAULT_SIGNATURE : Buffer.from(named.data).toString("utf8");
  using lease = models.acquire(model);
  const signature = lease.servable.signatures.get(signatureName);
  if (signature === undefined) {
    const instead = photosInstead(lease.servable.signatures);
    throw invalidArgument(`Serving signature name: "${signatureName}" not found in signature def${instead}`);
  }
  const values = isForm ? parts.filter((part) => part !== named) : [onlyPart(signature, body, contentType)];
  return { signatureName, format: "row", inputs: await tensorsFrom(signature, values, memory) };
}

function onlyPart(signature: Signature, data: Uint8Array, contentType: string): FormPart {
  const [only] = signature.inputs.keys();
  if (only === undefined || signature.inputs.size > 1) {
    throw invalidArgument(
      `a body of type ${contentType} is one input, the signature takes ${signature.inputs.size}; send a form`,
    );
  }
  return { name: only, isFile: true, contentType, data };
}

async function tensorsFrom(
  signature: Signature,
  parts: readonly FormPart[],
  memory: RequestMemory,
): Promise<Map<string, Tensor>> {
  const byName = new Map<string, FormPart[]>();
  for (const part of parts) {
    if (!signature.inputs.has(part.name)) {
      throw invalidArgument(
        `the form has a part "${part.name}", the signature takes ${[...signature.inputs.keys()].join(", ")}`,
      );
    }
    byName.set(part.name, [...(byName.get(part.name) ?? []), part]);
  }
  const tensors = [...byName].map(
    async ([name, rows]) =>
      [name, await tensorFrom(name, signature.inputs.get(name)!, rows, memory)] as const,
  );
  return new Map(await Promise.all(tensors));
}

/** Strings take any bytes, image inputs take image files too, and all other types take little-endian elements. */
async function tensorFrom(
  name: string,
  input: SignatureTensor,
  parts: readonly FormPart[],
  memory: RequestMemory,
): Promise<Tensor> {
  const { dtype } = input;
  const rows = parts.map(({ data }) => data);
  if (dtype === "string") return { dtype, shape: [rows.length], data: rows };
  const settings = imageSettingsOf(input);
  if (settings !== undefined && parts.every((part) => isImage(part, settings)))
    return imageBatch(rows, settings, memory);
  const bytes = rows.length === 1 ? rows[0]! : Buffer.concat(rows);
  return memory.fromBytes(dtype, shapeFor(name, input, bytes.byteLength / bytesPerElement(dtype)), bytes);
}

/** Whether a part is an image file: by its type, or by its content where it cannot be an image as numbers. */
function isImage({ contentType, data }: FormPart, settings: ImageSettings): boolean {
  if (/^image\//i.test(contentType)) return true;
  const isRaw = data.length % (imageSize(settings) * Float32Array.BYTES_PER_ELEMENT) === 0;
  return !isRaw && imageFormat(data) !== undefined;
}

/** The signature's shape, its one unknown side computed from the number of elements. */
function shapeFor(name: string, { shape }: SignatureTensor, elements: number): number[] {
  const unknown = (shape ?? []).filter((side) => side < 0).length;
  if (shape === undefined || unknown > 1) {
    throw invalidArgument(`raw bytes do not determine the shape of "${name}"; send JSON or gRPC`);
  }
  if (unknown === 0) return [...shape];
  const known = sizeOf(shape.filter((side) => side >= 0));
  const side = elements / known;
  if (!Number.isInteger(side)) {
    throw invalidArgument(`"${name}" takes rows of ${known} elements, the body holds ${elements} elements`);
  }
  return shape.map((size) => (size < 0 ? side : size));
}
