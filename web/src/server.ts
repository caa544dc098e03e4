/** @file What the page asks of the server. */

import { FaceError, messageOf } from "../../src/base/errors.ts";
import { GalleryClient, ServiceError, type ServiceFacts } from "../../src/client/gallery-client.ts";
import type { Face, Landmarks } from "../../src/faces/face.ts";
import { isWord, t } from "./words.ts";

const STORED = "faceid.key";

/** A face as `:verify` and `:detect` answer it. */
export type AnsweredFace = Face & { readonly warnings: readonly string[]; readonly found?: number };

export interface Comparison {
  readonly similarity: number;
  readonly same?: boolean;
  readonly threshold?: number;
  readonly falseAcceptRate?: { readonly estimate: number; readonly low: number; readonly high: number };
  readonly faces?: { readonly anchor: AnsweredFace; readonly verification: AnsweredFace };
}

let key: string | undefined;
try {
  key = sessionStorage.getItem(STORED) ?? undefined;
} catch {
  // A browser may forbid storage.
}

export function useKey(given: string): void {
  key = given;
  try {
    sessionStorage.setItem(STORED, given);
  } catch {
    // It is kept for this page alone.
  }
}

/** The API key, where one was given. */
export const keyInUse = (): string | undefined => key;

/** A client of a gallery; of none in particular for what concerns none. */
export const clientOf = (gallery = ""): GalleryClient =>
  new GalleryClient({ url: location.origin, gallery, key });

/** A key with characters that no key has is refused before it is sent. */
export const isRefusedKey = (error: unknown): boolean =>
  error instanceof ServiceError ? error.httpStatus === 401 : isInvalid(error);

const isInvalid = (error: unknown) => error instanceof FaceError && error.code === "CONFIG_INVALID";

/** Asks the served model about photographs. */
async function ask<A>(facts: ServiceFacts, verb: "verify" | "detect", form: FormData): Promise<A> {
  const response = await fetch(`/v1/models/${encodeURIComponent(facts.model.name)}:${verb}`, {
    method: "POST",
    body: form,
    ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }),
  }).catch((error: unknown) => {
    throw new FaceError("SERVER_UNREACHABLE", String(error));
  });
  const answer = (await response.json()) as A & { error?: string; code?: string };
  if (!response.ok) {
    throw new ServiceError(
      response.status,
      answer.code ?? "UNKNOWN",
      answer.error ?? response.statusText,
      undefined,
    );
  }
  return answer;
}

/** The points of all faces of a photograph. */
export async function lookAt(facts: ServiceFacts, photo: Blob): Promise<readonly Landmarks[]> {
  const form = new FormData();
  form.set("image", photo, "frame");
  const { faces } = await ask<{ faces: readonly AnsweredFace[] }>(facts, "detect", form);
  return faces.map(({ landmarks }) => landmarks);
}

/** Compares two photographs by the served model. */
export async function compare(
  facts: ServiceFacts,
  [first, second]: readonly [Blob, Blob],
  far: number | undefined,
): Promise<Comparison> {
  const form = new FormData();
  form.set("anchor", first, "first");
  form.set("verification", second, "second");
  if (far !== undefined) form.set("far", String(far));
  return await ask<Comparison>(facts, "verify", form);
}

/** The code of a failure, as the server or the client gave it. */
const codeOf = (error: unknown): string =>
  error instanceof ServiceError ? error.serverCode : error instanceof FaceError ? error.code : "";

/** A failure in the language of the page. */
export function failureText(error: unknown): string {
  const word = `error.${codeOf(error)}`;
  if (isWord(word)) return t(word);
  return t("error.other", { message: messageOf(error) });
}

/** What a failure to compare says of the first photograph and of the second; a failure of neither is said of the first. */
export function pairFailures(error: unknown): readonly [string | undefined, string | undefined] {
  const parts = messageOf(error).split("; ");
  const of = (name: string): string | undefined => {
    const part = parts.find((each) => each.includes(`the ${name}`));
    if (part === undefined) return undefined;
    // The code is that of the first failure.
    if (part.startsWith("no face")) return t("error.FACE_NOT_FOUND");
    return part.startsWith("cannot read") ? t("error.IMAGE_UNREADABLE") : failureText(error);
  };
  const [first, second] = [of("anchor"), of("verification")];
  return first === undefined && second === undefined ? [failureText(error), undefined] : [first, second];
}
