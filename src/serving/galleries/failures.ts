/** @file Failures of the galleries as answers: status, code, message and hint, without internals. */
import { FaceError, systemCode } from "../../base/errors.ts";
import { RateExceeded } from "../access/rates.ts";
import { retryAfter } from "../rest/admission.ts";
import type { RestAnswer } from "../rest/handler.ts";
import { CLIENT_CODES, STATUS, StatusError, toStatusError } from "../status.ts";

interface Said {
  readonly status: number;
  /** What a client can do. */
  readonly hint?: string;
}

/** Codes whose messages speak of what the client sent or asked for. */
const SAID: Readonly<Record<string, Said>> = {
  CONFIG_INVALID: { status: 400 },
  IMAGE_UNREADABLE: { status: 400, hint: "send a JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF or BMP file" },
  FACE_NOT_FOUND: { status: 422, hint: "send a photograph that shows the face from the front and sharp" },
  SEVERAL_FACES: { status: 422, hint: 'send a photograph of one person, or ask for "face": "largest"' },
  FACE_UNFIT: { status: 422, hint: 'send a better photograph, or leave "strict" out' },
  PERSON_NOT_FOUND: { status: 404, hint: "GET the gallery's /people lists them" },
  PERSON_EXISTS: { status: 409, hint: "choose another name, or add the photograph to that person" },
  PERSON_CHANGED: { status: 412, hint: "read the person again and repeat the change" },
  GALLERY_NOT_FOUND: { status: 404, hint: "GET /v1/galleries lists the galleries" },
  MODEL_UNSUPPORTED: { status: 409 },
  UNAUTHENTICATED: { status: 401, hint: "faceid keys add makes a key; send Authorization: Bearer KEY" },
  PERMISSION_DENIED: { status: 403, hint: "use a key with that scope and gallery" },
};

/** SQLSTATE: a row that is referred to is gone; a value that a column cannot hold (PostgreSQL manual, appendix A). */
const [GONE, BAD_VALUE] = [/^23503$/, /^22/];

/** What a database's error means to a client. */
function ofDatabase(error: unknown): unknown {
  const code = systemCode(error) ?? "";
  if (GONE.test(code)) {
    return new FaceError("PERSON_NOT_FOUND", "the person was removed meanwhile", { cause: error });
  }
  if (BAD_VALUE.test(code)) {
    return new FaceError("CONFIG_INVALID", "a text holds a character that cannot be kept", { cause: error });
  }
  return error;
}

function body(code: string, message: string, hint?: string): string {
  return `${JSON.stringify({ error: { code, message, ...(hint === undefined ? {} : { hint }) } })}\n`;
}

/** The answer to a body that is larger than the server takes. */
export const tooLargeAnswer = (message: string): RestAnswer => ({
  status: 413,
  headers: { "content-type": "application/json", connection: "close" },
  body: body("RESOURCE_EXHAUSTED", message, "send a smaller photograph"),
});

/** The error of one part of an answer. */
export const failureBody = ({ code, message }: FaceError) => ({
  error: {
    code: code as string,
    message,
    ...(SAID[code]?.hint === undefined ? {} : { hint: SAID[code].hint }),
  },
});

/** The answer to a failure, and what the log and the figures say of it. */
export function failureAnswer(thrown: unknown): { answer: RestAnswer; failure: StatusError } {
  const error = ofDatabase(thrown);
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  const ours = error instanceof FaceError ? error : undefined;
  const said = ours === undefined ? undefined : SAID[ours.code];
  if (ours !== undefined && said !== undefined) {
    const code = ours.code === "CONFIG_INVALID" ? "INVALID_ARGUMENT" : ours.code;
    const challenge = code === "UNAUTHENTICATED" ? { "www-authenticate": "Bearer" } : {};
    const answer = {
      status: said.status,
      headers: { ...headers, ...challenge },
      body: body(code, ours.message, said.hint),
    };
    return { answer, failure: new StatusError(ours.status, ours.message, { cause: ours }) };
  }
  const failure =
    ours === undefined || CLIENT_CODES.has(ours.code)
      ? toStatusError(error)
      : new StatusError(ours.status, "The gallery could not answer; the server's log says why.", {
          cause: ours,
        });
  const { status, message } = failure;
  const code = ours?.code ?? status;
  const later = failure instanceof RateExceeded ? retryAfter(failure) : {};
  const answer = {
    status: STATUS[status].http,
    headers: { ...headers, ...later },
    body: body(code, message),
  };
  return { answer, failure };
}
