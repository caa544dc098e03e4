/** @file Reads `multipart/form-data` (RFC 7578): the parts of a form, as views of the body. */
import { invalidArgument } from "../status.ts";

/** One field of a form. */
export interface FormPart {
  readonly name: string;
  /** Empty for fields that are not files. */
  readonly fileName: string;
  readonly contentType: string;
  readonly data: Uint8Array;
}

/** More parts than any request of ours has a use for. */
const MOST_PARTS = 1024;
const CRLF = "\r\n";

function parameter(header: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|;)\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, "i").exec(header);
  return match?.[1]?.replace(/\\(.)/g, "$1") ?? match?.[2];
}

/**
 * Splits a form into its parts.
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
  return {
    name,
    fileName: parameter(disposition, "filename") ?? "",
    contentType: headers.get("content-type") ?? "text/plain",
    data: bytes.subarray(headersEnd + 2 * CRLF.length, end),
  };
}
