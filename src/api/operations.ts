/** @file The operations of the galleries' REST interface: method, path, scope, and the schemas of request and answer. */
import { z } from "zod";
import {
  enrolFields,
  enrolment,
  eventsPage,
  eventsQuery,
  face,
  facesPage,
  galleries,
  gallery,
  identification,
  identifications,
  identifyFields,
  MOST_PHOTOGRAPHS,
  mergeFields,
  peoplePage,
  peopleQuery,
  person,
  personFields,
  service,
  verification,
  verifyFields,
} from "./schemas.ts";

/** What a key may be allowed to do. */
export type Scope = "predict" | "read" | "enrol" | "identify" | "admin";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Operation {
  readonly method: Method;
  /** Segments in braces are parameters. */
  readonly path: string;
  readonly summary: string;
  /** `any`: every key, whatever it may do. */
  readonly scope: Scope | "any";
  readonly query?: z.ZodObject;
  /** The fields of the body, beside the photograph where one is wanted. */
  readonly body?: z.ZodObject;
  /** Whether the body holds a photograph named `image`. */
  readonly photo?: true;
  /** How many photographs the body may hold, named `images`, in place of the one. */
  readonly mostPhotographs?: number;
  /** Statuses of success with what they hold; `undefined` for none. */
  readonly answers: Readonly<
    Record<number, z.ZodType | "image" | "bytes" | "page" | "document" | "lines" | undefined>
  >;
  /** Answers have an ETag; `If-None-Match` of a reader and `If-Match` of a writer are heeded. */
  readonly tagged?: true;
  /** `Idempotency-Key` is heeded. */
  readonly idempotent?: true;
}

const GALLERY = "/v1/galleries/{gallery}";
const PERSON = `${GALLERY}/people/{person}`;
const FACE = `${PERSON}/faces/{face}`;

export const OPERATIONS = {
  getDocument: {
    method: "GET",
    path: "/v1/openapi.json",
    summary: "This document.",
    scope: "any",
    answers: { 200: "document" },
  },
  getService: {
    method: "GET",
    path: "/v1/service",
    summary: "What this server offers: its model with the calibration record, and its galleries.",
    scope: "predict",
    answers: { 200: service },
  },
  getFile: {
    method: "GET",
    path: "/v1/service/files/{sha256}",
    summary: "A file of the served pack by its digest, for those who compare photographs themselves.",
    scope: "predict",
    answers: { 200: "bytes" },
  },
  getReport: {
    method: "GET",
    path: "/v1/service/report",
    summary: "The report page of the served model, where the server was given one.",
    scope: "predict",
    answers: { 200: "page" },
  },
  listGalleries: {
    method: "GET",
    path: "/v1/galleries",
    summary: "The galleries that the key may read.",
    scope: "read",
    answers: { 200: galleries },
  },
  getGallery: {
    method: "GET",
    path: GALLERY,
    summary: "A gallery in numbers.",
    scope: "read",
    answers: { 200: gallery },
  },
  listEvents: {
    method: "GET",
    path: `${GALLERY}/events`,
    summary: "The audit log, oldest first: who enrolled, changed, searched and deleted.",
    scope: "admin",
    query: eventsQuery,
    answers: { 200: eventsPage },
  },
  listPeople: {
    method: "GET",
    path: `${GALLERY}/people`,
    summary: "People in the order of their names, a page at a time.",
    scope: "read",
    query: peopleQuery,
    answers: { 200: peoplePage },
  },
  addPerson: {
    method: "POST",
    path: `${GALLERY}/people`,
    summary: "Adds a person without faces.",
    scope: "enrol",
    body: personFields,
    answers: { 201: person },
    tagged: true,
    idempotent: true,
  },
  getPerson: {
    method: "GET",
    path: PERSON,
    summary: "A person.",
    scope: "read",
    answers: { 200: person },
    tagged: true,
  },
  replacePerson: {
    method: "PUT",
    path: PERSON,
    summary: "Says everything about a person anew; a field that is left out is cleared. Faces stay.",
    scope: "enrol",
    body: personFields,
    answers: { 200: person },
    tagged: true,
  },
  removePerson: {
    method: "DELETE",
    path: PERSON,
    summary: "Removes a person with all faces and kept photographs.",
    scope: "enrol",
    answers: { 204: undefined },
    tagged: true,
  },
  mergePerson: {
    method: "POST",
    path: `${PERSON}:merge`,
    summary: "Moves all faces of the person to another, and removes the first.",
    scope: "enrol",
    body: mergeFields,
    answers: { 200: person },
    idempotent: true,
  },
  verifyPerson: {
    method: "POST",
    path: `${PERSON}:verify`,
    summary: "Whether a photograph shows the person.",
    scope: "identify",
    body: verifyFields,
    photo: true,
    answers: { 200: verification },
  },
  exportPerson: {
    method: "GET",
    path: `${PERSON}:export`,
    summary:
      "Everything that is kept about the person, as they may ask for it (GDPR, article 15): what is said of them, their faces with embeddings and kept photographs, and what happened.",
    scope: "admin",
    answers: { 200: "lines" },
  },
  listFaces: {
    method: "GET",
    path: `${PERSON}/faces`,
    summary: "The faces of a person, oldest first.",
    scope: "read",
    answers: { 200: facesPage },
  },
  addFace: {
    method: "POST",
    path: `${PERSON}/faces`,
    summary: "Enrols the face of a photograph.",
    scope: "enrol",
    body: enrolFields,
    photo: true,
    answers: { 200: enrolment, 201: enrolment },
    idempotent: true,
  },
  getFace: {
    method: "GET",
    path: FACE,
    summary: "A face.",
    scope: "read",
    answers: { 200: face },
    tagged: true,
  },
  removeFace: {
    method: "DELETE",
    path: FACE,
    summary: "Removes a face and its kept photograph.",
    scope: "enrol",
    answers: { 204: undefined },
  },
  getPhoto: {
    method: "GET",
    path: `${FACE}/photo`,
    summary: "The kept photograph of a face.",
    scope: "read",
    answers: { 200: "image" },
  },
  identify: {
    method: "POST",
    path: `${GALLERY}:identify`,
    summary:
      "Who is on a photograph: each face with the most alike people, and whether the first is a match. Several photographs, as `images`, are answered one by one.",
    scope: "identify",
    body: identifyFields,
    photo: true,
    mostPhotographs: MOST_PHOTOGRAPHS,
    answers: { 200: z.union([identification, identifications]) },
  },
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationId = keyof typeof OPERATIONS;

export const operationOf = (id: OperationId): Operation => OPERATIONS[id];

export const OPERATION_IDS = Object.keys(OPERATIONS) as OperationId[];
