/** @file Bodies of our own verbs: photographs with their wishes, as a form, as JSON or as a bare image file. */

import { FACE_CHOICES, facePicks, isFacePick } from "../../faces/choose.ts";
import { DEFAULT_WISH, type FaceWish } from "../../faces/meant-face.ts";
import type { PhotoCall } from "../faces.ts";
import type { JsonCodec } from "../json/codec.ts";
import { type PhotoList, type PhotoUrl, requirePhotoCount } from "../json/photos.ts";
import type { ImageUrls } from "../photos/image-urls.ts";
import { PAIR_NAMES } from "../photos/meant-faces.ts";
import { invalidArgument } from "../status.ts";
import type { VerifyCall } from "../verify.ts";
import { type FormPart, isFormUpload, readForm } from "./upload.ts";

/** A body that was received. */
export interface Received {
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly codec: JsonCodec;
  /** Fetches photographs that are named by URL; absent where the server fetches none. */
  readonly imageUrls?: ImageUrls | undefined;
  readonly signal: AbortSignal;
}

/** The content of a photograph; one that lies elsewhere is fetched. */
async function contentOf(
  file: Uint8Array | PhotoUrl,
  name: string,
  { imageUrls, signal }: Received,
): Promise<Uint8Array> {
  if (!("url" in file)) return file;
  if (imageUrls !== undefined) return await imageUrls.fetch(file.url, name, signal);
  throw invalidArgument(
    `"${name}" is a URL, and this server fetches none; start it with --image_urls https://HOST/, or send the file as {"b64": "…"}`,
  );
}

type Fields = Readonly<Record<string, unknown>>;

/** The texts of a form, by name. */
const textsOf = (parts: readonly FormPart[]): Map<string, unknown> =>
  new Map(
    parts
      .filter(({ isFile }) => !isFile)
      .map(({ name, data }) => [name, Buffer.from(data).toString("utf8")] as const),
  );

/** The fields of a form for our own verbs. */
function fieldsOf(texts: ReadonlyMap<string, unknown>): Fields {
  const given = new Map(texts);
  const [far, strict, face] = [given.get("far"), given.get("strict"), given.get("face")];
  if (far !== undefined) given.set("far", Number(far));
  if (strict === "true" || strict === "false") given.set("strict", strict === "true");
  if (typeof face === "string") given.set("face", facePicks(face));
  return Object.fromEntries(given);
}

function refuseUnknown(fields: Fields, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const wanted = known.length === 0 ? "none is known beside the image" : `known are ${known.join(", ")}`;
  throw invalidArgument(`the body has a field ${JSON.stringify(unknown)}; ${wanted}`);
}

function farOf({ far }: Fields): number | undefined {
  if (far === undefined) return undefined;
  if (typeof far === "number" && far > 0 && far < 1) return far;
  throw invalidArgument("far is a rate between 0 and 1, such as 0.001");
}

const PICKS = `face is one of ${FACE_CHOICES.join(", ")}, or the number of a face as :detect lists it, from 1`;

function wishOf({ face, strict }: Fields, problem = PICKS): FaceWish | undefined {
  if (face === undefined && strict === undefined) return undefined;
  const choice = face ?? DEFAULT_WISH.choice;
  const wanted = strict ?? DEFAULT_WISH.strict;
  if (!isFacePick(choice)) throw invalidArgument(problem);
  if (typeof wanted !== "boolean") throw invalidArgument("strict is true or false");
  return { choice, strict: wanted };
}

/** The wishes for two photographs: `face` may be a list of two. */
function wishesOf({ face, ...fields }: Fields): VerifyCall["wishes"] {
  const problem = `${PICKS}; or a list of two, for the anchor and the verification`;
  const picks = Array.isArray(face) && face.length === 2 ? face : [face, face];
  const [first, second] = picks.map((pick) => wishOf({ ...fields, face: pick as unknown }, problem));
  return first === undefined || second === undefined ? undefined : [first, second];
}

const VERIFY_FIELDS = ["far", "face", "strict"];

const isForm = (contentType: string) => /^multipart\/form-data/i.test(contentType);

/** The files of a form in the order of the names, where each has its name; otherwise in the order of the form. */
function pairOf(parts: readonly FormPart[]): readonly [Uint8Array, Uint8Array] {
  const files = parts.filter(({ isFile }) => isFile);
  const named = PAIR_NAMES.map((name) => files.find((part) => part.name === name));
  const [first, second] = named.includes(undefined) ? files : named;
  if (first === undefined || second === undefined || files.length > 2) {
    throw invalidArgument(`verify takes two image files, got ${files.length}`);
  }
  return [first.data, second.data];
}

/**
 * Reads two photographs: a form with two files, or JSON with `anchor` and `verification`; beside them `far`, `face` and `strict`.
 * @throws StatusError `INVALID_ARGUMENT` for any other body.
 */
export async function readPair(received: Received): Promise<VerifyCall> {
  const { body, contentType, codec, signal } = received;
  if (isForm(contentType)) {
    const parts = readForm(body, contentType);
    const fields = fieldsOf(textsOf(parts));
    refuseUnknown(fields, VERIFY_FIELDS);
    return { images: pairOf(parts), far: farOf(fields), wishes: wishesOf(fields) };
  }
  if (isFormUpload(contentType)) {
    throw invalidArgument(
      `verify takes two image files, in a form or in JSON, got a body of type ${contentType}`,
    );
  }
  const { files, fields } = await codec.readPhotos(body, PAIR_NAMES, signal);
  refuseUnknown(fields, VERIFY_FIELDS);
  const [far, wishes] = [farOf(fields), wishesOf(fields)];
  const [first, second] = await Promise.all(
    PAIR_NAMES.map((name, i) => contentOf(files[i]!, name, received)),
  );
  return { images: [first!, second!], far, wishes };
}

/** A photograph with the fields beside it. */
export interface PhotoBody {
  readonly image: Uint8Array;
  /** All texts where the body is a form. */
  readonly fields: Fields;
  readonly isForm: boolean;
}

/** One photograph of several, with the name that its answer has. */
export interface NamedPhoto {
  readonly name: string;
  readonly file: Uint8Array;
}

/** Photographs with the fields beside them. */
export interface PhotosBody extends Omit<PhotoBody, "image"> {
  readonly images: readonly NamedPhoto[];
}

const numbered = (i: number) => `photograph ${i + 1}`;

/** Characters of a file's name that an answer repeats. */
const MOST_NAME = 255;

/**
 * Reads one photograph, or several: a form with several files, or with files of the list's name; JSON with the list.
 * @throws StatusError `INVALID_ARGUMENT` for any other body, or more photographs than the list may have.
 */
export async function readOneOrMore(received: Received, list: PhotoList): Promise<PhotoBody | PhotosBody> {
  const { body, contentType, codec, signal } = received;
  if (isForm(contentType)) {
    const parts = readForm(body, contentType);
    const files = parts.filter(({ isFile }) => isFile);
    if (files.length <= 1 && files[0]?.name !== list.name) return await readPhotoBody(received);
    requirePhotoCount(files.length, list);
    const images = files.map(({ fileName, data }, i) => ({
      name: fileName?.slice(0, MOST_NAME) ?? numbered(i),
      file: data,
    }));
    return { images, fields: Object.fromEntries(textsOf(parts)), isForm: true };
  }
  if (isFormUpload(contentType)) return await readPhotoBody(received);
  const { files, fields, isList } = await codec.readPhotos(body, ["image"], signal, list);
  if (!isList) return { image: await contentOf(files[0]!, "image", received), fields, isForm: false };
  const contents = await Promise.all(files.map((file, i) => contentOf(file, `${list.name}.${i}`, received)));
  return { images: contents.map((file, i) => ({ name: numbered(i), file })), fields, isForm: false };
}

/**
 * Reads one photograph: a form with one file, JSON with `image`, or the file itself.
 * @throws StatusError `INVALID_ARGUMENT` for any other body.
 */
export async function readPhotoBody(received: Received): Promise<PhotoBody> {
  const { body, contentType, codec, signal } = received;
  if (isForm(contentType)) {
    const parts = readForm(body, contentType);
    const files = parts.filter(({ isFile }) => isFile);
    const [file] = files;
    if (file === undefined || files.length > 1) {
      throw invalidArgument(`a form with one image file is wanted, got ${files.length} files`);
    }
    return { image: file.data, fields: Object.fromEntries(textsOf(parts)), isForm: true };
  }
  if (isFormUpload(contentType)) return { image: body, fields: {}, isForm: false };
  const { files, fields } = await codec.readPhotos(body, ["image"], signal);
  return { image: await contentOf(files[0]!, "image", received), fields, isForm: false };
}

/**
 * The same for our own verbs.
 * @param known names of the fields that may be beside it, in a form or in JSON.
 */
export async function readPhoto(received: Received, known: readonly string[]): Promise<PhotoCall> {
  const { image, fields: given, isForm: isText } = await readPhotoBody(received);
  const fields = isText ? fieldsOf(new Map(Object.entries(given))) : given;
  refuseUnknown(fields, known);
  return { image, wish: wishOf(fields) };
}
