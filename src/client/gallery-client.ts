/** @file A typed client of the galleries of a server; it runs in Node and in browsers. */
import type { z } from "zod";
import type {
  enrolFields,
  enrolment,
  event,
  eventsPage,
  face,
  facesPage,
  galleries,
  gallery,
  identification,
  identifications,
  identifyFields,
  peoplePage,
  peopleQuery,
  person,
  personFields,
  service,
  verification,
  verifyFields,
} from "../api/schemas.ts";
import { FaceError } from "../base/errors.ts";
import { ANSWERS, type Fields, wrongField } from "./answer-fields.ts";
import { excerpt, readBody, readText } from "./body.ts";
import { MOST_REFUSAL_BYTES, parsed, reading, refusalOf, unlike } from "./service-error.ts";

export { ServiceError } from "./service-error.ts";

export type ServedPerson = z.output<typeof person>;
export type ServedPersonFields = z.input<typeof personFields>;
export type ServedFace = z.output<typeof face>;
export type ServedEnrolment = z.output<typeof enrolment>;
export type ServedIdentification = z.output<typeof identification>;
export type ServedIdentifications = z.output<typeof identifications>;
export type ServedVerification = z.output<typeof verification>;
export type ServedGallery = z.output<typeof gallery>;
export type ServedEvent = z.output<typeof event>;
export type ServiceFacts = z.output<typeof service>;

export interface GalleryClientOptions {
  /** The server: `http://localhost:8501`. */
  readonly url: string;
  /** The gallery's name on the server. */
  readonly gallery: string;
  /** An API key; none for a server on loopback. */
  readonly key?: string | undefined;
  /** Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

/** The content of an image file. */
export type PhotoContent = Uint8Array | Blob;

interface Request {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly json?: unknown;
  readonly form?: FormData;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** For calls that may be repeated without doing anything twice. */
export interface RepeatableOptions {
  /** A text of your own: a repeated call with the same one gets the first answer. */
  readonly idempotencyKey?: string | undefined;
}

/** For changes of what was read before. */
export interface MatchOptions {
  /** The tag of `person`: the change is refused (`PERSON_CHANGED`) when it no longer holds. */
  readonly ifMatch?: string | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Timers take a longer time for none. */
const MOST_TIMEOUT_MS = 2 ** 31 - 1;

/** Most bytes of a photograph or of everything about a person; a page of people has some 100 kB. */
const MOST_BYTES = 2 ** 28;
/** Most characters of a wrong answer that an error repeats. */
const MOST_REPEATED = 200;

const segment = encodeURIComponent;

const blobOf = (photo: PhotoContent): Blob =>
  photo instanceof Blob ? photo : new Blob([new Uint8Array(photo)]);

type FormFields = Readonly<Record<string, unknown>>;

function formOf(photo: PhotoContent, fields: FormFields): FormData {
  const form = new FormData();
  form.set("image", blobOf(photo), "photograph");
  return withFields(form, fields);
}

function formOfSeveral(photos: readonly PhotoContent[], fields: FormFields): FormData {
  const form = new FormData();
  for (const [i, photo] of photos.entries()) {
    // A `File`, which Node 20 does not know as a global of every version, is a `Blob` with a name.
    const name = photo instanceof Blob && "name" in photo ? String(photo.name) : `photograph ${i + 1}`;
    form.append("images", blobOf(photo), name);
  }
  return withFields(form, fields);
}

function withFields(form: FormData, fields: FormFields): FormData {
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.set(name, String(value));
  return form;
}

/** A gallery on a server. All functions throw `ServiceError`, or FaceError `SERVER_UNREACHABLE`. */
export class GalleryClient {
  readonly #base: string;
  readonly #gallery: string;
  readonly #key: string | undefined;
  readonly #timeoutMs: number;

  constructor({ url, gallery: name, key, timeoutMs = DEFAULT_TIMEOUT_MS }: GalleryClientOptions) {
    if (!(Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs <= MOST_TIMEOUT_MS)) {
      const text = `GalleryClient: timeoutMs: got ${timeoutMs}, expected a whole number from 1 to ${MOST_TIMEOUT_MS}`;
      throw new FaceError("CONFIG_INVALID", text);
    }
    // A header takes neither spaces nor ends of lines, and fetch no secrets in addresses; errors do not repeat them.
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
      throw new FaceError("CONFIG_INVALID", "GalleryClient: key: it has characters that no key has", {
        hint: "pass the key as faceid keys add printed it, without spaces and quotes",
      });
    }
    if (URL.canParse(url) && new URL(url).username !== "") {
      throw new FaceError(
        "CONFIG_INVALID",
        "GalleryClient: url: an address without name and password is wanted",
        {
          hint: "pass the server's key as `key`",
        },
      );
    }
    this.#base = url.replace(/\/+$/, "");
    this.#gallery = `/v1/galleries/${segment(name)}`;
    this.#key = key;
    this.#timeoutMs = timeoutMs;
  }

  /** What the server offers. */
  async service(): Promise<ServiceFacts> {
    return await this.#json<ServiceFacts>(ANSWERS.service, "/v1/service");
  }

  /** The galleries that the key may read. */
  async galleries(): Promise<z.output<typeof galleries>["galleries"]> {
    const answer = await this.#json<z.output<typeof galleries>>(ANSWERS.galleries, "/v1/galleries");
    return answer.galleries;
  }

  /** The gallery in numbers. */
  async gallery(): Promise<ServedGallery> {
    return await this.#json<ServedGallery>(ANSWERS.gallery, this.#gallery);
  }

  /** One page of the people, in the order of their names. */
  async people(query: z.input<typeof peopleQuery> = {}): Promise<z.output<typeof peoplePage>> {
    return await this.#json(ANSWERS.people, `${this.#gallery}/people`, { query: { ...query } });
  }

  /** All people, page by page. */
  async *allPeople(search?: string): AsyncGenerator<ServedPerson> {
    let cursor: string | null | undefined;
    do {
      const page = await this.people({
        limit: 500,
        ...(cursor ? { cursor } : {}),
        ...(search === undefined ? {} : { search }),
      });
      yield* page.people;
      cursor = page.next;
    } while (cursor !== null);
  }

  /** Adds a person without faces. */
  async addPerson(
    fields: ServedPersonFields,
    { idempotencyKey }: RepeatableOptions = {},
  ): Promise<ServedPerson> {
    const headers = { "idempotency-key": idempotencyKey };
    return await this.#json(ANSWERS.person, `${this.#gallery}/people`, {
      method: "POST",
      json: fields,
      headers,
    });
  }

  /** A person by id or name, with the tag of what was read. */
  async person(who: string): Promise<{ readonly person: ServedPerson; readonly tag: string }> {
    const { value, headers } = await this.#answer<ServedPerson>(ANSWERS.person, this.#person(who));
    return { person: value, tag: headers.get("etag") ?? "" };
  }

  /** Says everything about a person anew; a field that is left out is cleared. */
  async replacePerson(
    who: string,
    fields: ServedPersonFields,
    { ifMatch }: MatchOptions = {},
  ): Promise<ServedPerson> {
    return await this.#json(ANSWERS.person, this.#person(who), {
      method: "PUT",
      json: fields,
      headers: { "if-match": ifMatch },
    });
  }

  /** Removes a person with all faces and kept photographs. */
  async removePerson(who: string, { ifMatch }: MatchOptions = {}): Promise<void> {
    await this.#remove(this.#person(who), { "if-match": ifMatch });
  }

  /** Moves all faces of a person to another, and removes the first. */
  async mergePerson(
    who: string,
    into: string,
    { idempotencyKey }: RepeatableOptions = {},
  ): Promise<ServedPerson> {
    const headers = { "idempotency-key": idempotencyKey };
    return await this.#json(ANSWERS.person, `${this.#person(who)}:merge`, {
      method: "POST",
      json: { into },
      headers,
    });
  }

  /**
   * Everything that is kept about a person, as they may ask for it; needs a key of scope `admin`.
   * @returns lines of JSON, as `faceid gallery export --person` writes them and `faceid gallery import` reads them.
   */
  async exportPerson(who: string): Promise<string> {
    const { bytes } = await this.#bytes(`${this.#person(who)}:export`, ["application/x-ndjson"]);
    return new TextDecoder().decode(bytes);
  }

  /** Whether a photograph shows the person. */
  async verify(
    who: string,
    photo: PhotoContent,
    fields: z.input<typeof verifyFields> = {},
  ): Promise<ServedVerification> {
    return await this.#json(ANSWERS.verification, `${this.#person(who)}:verify`, {
      method: "POST",
      form: formOf(photo, fields),
    });
  }

  /** The faces of a person, oldest first. */
  async faces(who: string): Promise<ServedFace[]> {
    const path = `${this.#person(who)}/faces`;
    return (await this.#json<z.output<typeof facesPage>>(ANSWERS.faces, path)).faces;
  }

  /** Enrols the face of a photograph. */
  async addFace(
    who: string,
    photo: PhotoContent,
    fields: z.input<typeof enrolFields> = {},
    { idempotencyKey }: RepeatableOptions = {},
  ): Promise<ServedEnrolment> {
    return await this.#json(ANSWERS.enrolment, `${this.#person(who)}/faces`, {
      method: "POST",
      form: formOf(photo, fields),
      headers: { "idempotency-key": idempotencyKey },
    });
  }

  /** Removes a face and its kept photograph. */
  async removeFace(who: string, faceId: string): Promise<void> {
    await this.#remove(`${this.#person(who)}/faces/${segment(faceId)}`, {});
  }

  /** The kept photograph of a face. */
  async photo(who: string, faceId: string): Promise<Blob> {
    const path = `${this.#person(who)}/faces/${segment(faceId)}/photo`;
    const { bytes, type } = await this.#bytes(path, ["image/", "application/octet-stream"]);
    return new Blob([bytes], { type });
  }

  /** Who is on a photograph. */
  async identify(
    photo: PhotoContent,
    fields: z.input<typeof identifyFields> = {},
  ): Promise<ServedIdentification> {
    const form = formOf(photo, fields);
    return await this.#json(ANSWERS.identification, `${this.#gallery}:identify`, { method: "POST", form });
  }

  /**
   * Who is on each of several photographs, in their order; one that cannot be read has its error in the answer.
   * @param photos 1 to 16; the name of a `File` names its answer.
   */
  async identifyPhotos(
    photos: readonly PhotoContent[],
    fields: z.input<typeof identifyFields> = {},
  ): Promise<ServedIdentifications> {
    const form = formOfSeveral(photos, fields);
    const path = `${this.#gallery}:identify`;
    return await this.#json(ANSWERS.identifications, path, { method: "POST", form });
  }

  /** What happened, oldest first. */
  async events(
    query: { readonly limit?: number; readonly cursor?: string } = {},
  ): Promise<z.output<typeof eventsPage>> {
    return await this.#json(ANSWERS.events, `${this.#gallery}/events`, { query });
  }

  #person(who: string): string {
    return `${this.#gallery}/people/${segment(who)}`;
  }

  async #json<T>(fields: Fields, path: string, request: Request = {}): Promise<T> {
    return (await this.#answer<T>(fields, path, request)).value;
  }

  /** An answer in JSON that has the wanted fields. */
  async #answer<T>(
    fields: Fields,
    path: string,
    request: Request = {},
  ): Promise<{ readonly value: T; readonly headers: Headers }> {
    const { response, url } = await this.#send(path, request);
    const { text, isCut } = await this.#reading(url, response, readText(response, MOST_BYTES));
    if (isCut) throw unlike(response, url, `more than ${MOST_BYTES} bytes`);
    const value = parsed(text);
    const wrong = value === undefined ? "it is no JSON" : wrongField(value, fields);
    if (wrong !== undefined) throw unlike(response, url, `${excerpt(text, MOST_REPEATED)}: ${wrong}`);
    return { value: value as T, headers: response.headers };
  }

  /** A file. @param types beginnings of the content types that it may have. */
  async #bytes(path: string, types: readonly string[]) {
    const { response, url } = await this.#send(path);
    const type = response.headers.get("content-type") ?? "";
    if (!types.some((each) => type.startsWith(each))) {
      await response.body?.cancel();
      throw unlike(response, url, `${type || "no content type"}, expected ${types.join(" or ")}`);
    }
    const { bytes, isCut } = await this.#reading(url, response, readBody(response, MOST_BYTES));
    if (isCut) throw unlike(response, url, `more than ${MOST_BYTES} bytes`);
    return { bytes, type };
  }

  /** Anything but 204 comes from something that is no gallery, and nothing was removed. */
  async #remove(path: string, headers: Request["headers"] & object): Promise<void> {
    const { response, url } = await this.#send(path, { method: "DELETE", headers });
    if (response.status === 204) return;
    const { text } = await this.#reading(url, response, readText(response, MOST_REFUSAL_BYTES));
    throw unlike(response, url, excerpt(text, MOST_REPEATED));
  }

  async #send(path: string, { method = "GET", query = {}, json, form, headers = {} }: Request = {}) {
    const asked = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) asked.set(name, String(value));
    const sent = new Headers(json === undefined ? {} : { "content-type": "application/json" });
    if (this.#key !== undefined) sent.set("authorization", `Bearer ${this.#key}`);
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) sent.set(name, value);
    const body = form ?? (json === undefined ? null : JSON.stringify(json));
    const url = `${this.#base}${path}${asked.size === 0 ? "" : `?${asked}`}`;
    const timeoutMs = this.#timeoutMs;
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await reading(url, { timeoutMs }, fetch(url, { method, headers: sent, body, signal }));
    if (!response.ok) throw await refusalOf(response, url, timeoutMs);
    return { response, url };
  }

  /** Waits for the body of an answer. */
  async #reading<T>(url: string, { headers }: Response, work: Promise<T>): Promise<T> {
    return await reading(url, { timeoutMs: this.#timeoutMs, headers }, work);
  }
}
