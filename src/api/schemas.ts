/** @file What requests to galleries say and what their answers hold, as schemas. */
import { z } from "zod";

// The room is the contract of the galleries' REST interface: the server checks requests by it, the OpenAPI document is made
// from it, and the client and the page take their types from it.

const rate = z.number().gt(0).lt(1);
const share = z.number().min(0).max(1);
const moment = z.iso.datetime({ offset: true });

/** Largest name of a person, in characters. */
const MAX_NAME = 200;
const MAX_PAGE = 1000;

/** Where a date begins, it is still the day before elsewhere. */
const DAY_MS = 86_400_000;

const consent = z
  .strictObject({
    given: z
      .union([z.iso.date(), moment])
      .refine((text) => Date.parse(text) <= Date.now() + DAY_MS, "lies in the future")
      .describe("When it was given; not in the future."),
    how: z.string().min(1).max(1000).describe("How: a signed form, a check box, a contract."),
  })
  .meta({ id: "Consent" });

const notes = z.record(z.string(), z.unknown()).describe("Whatever the application keeps beside.");
const expiresAt = z
  .union([z.iso.date(), moment])
  .nullable()
  .describe("From then on the person is no longer found by searches.");

/** A person to be enrolled, or as they shall be from now on. */
export const personFields = z
  .strictObject({
    name: z.string().min(1).max(MAX_NAME).describe("Unique in the gallery."),
    notes: notes.optional(),
    consent: consent.nullable().optional(),
    expiresAt: expiresAt.optional(),
  })
  .meta({ id: "PersonFields" });

export const person = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    notes,
    consent: z.strictObject({ given: z.string(), how: z.string() }).nullable(),
    expiresAt: moment.nullable(),
    version: z.int().describe("Rises with each change."),
    createdAt: moment,
    updatedAt: moment,
    faces: z.int().describe("How many faces are enrolled."),
  })
  .meta({ id: "Person" });

const box = z
  .array(z.number())
  .length(4)
  .describe("x, y, width and height in pixels of the upright photograph.");
const quality = z.record(z.string(), z.unknown());

export const face = z
  .strictObject({
    id: z.uuid(),
    source: z.string().nullable().describe("The photograph's file name, where it had one."),
    box: box.nullable(),
    quality,
    hasPhoto: z.boolean().describe("Whether the photograph itself is kept."),
    isCurrent: z
      .boolean()
      .describe("Whether the gallery's model made its embedding; searches find no others."),
    createdAt: moment,
  })
  .meta({ id: "Face" });

const similarPerson = z
  .strictObject({ id: z.uuid(), person: z.string(), similarity: z.number() })
  .meta({ id: "Candidate" });

const warnings = z
  .array(z.string())
  .describe("What makes the face unfit to be compared; empty for a good one.");

const foundFace = {
  box,
  landmarks: z.array(z.array(z.number()).length(2)).length(5),
  score: share,
  quality: z.record(z.string(), z.number()),
  warnings,
};

export const enrolment = z
  .strictObject({
    face,
    isNew: z.boolean().describe("False for a photograph that the person had already."),
    warnings,
    resembles: similarPerson
      .nullable()
      .describe(
        "Somebody else who looks like this face: one person under two names, a wrong name, or people who look alike.",
      ),
  })
  .meta({ id: "Enrolment" });

const measuredRate = z
  .strictObject({
    estimate: share,
    low: share,
    high: share,
    weights: z
      .enum(["float32", "float16"])
      .optional()
      .describe("The weights that it was measured with, where the version that answers has others."),
  })
  .meta({ id: "Rate", description: "A rate with its 95 % interval." });

export const identification = z
  .strictObject({
    people: z.int().describe("How many people, or faces, each face was compared with."),
    faces: z.array(
      z
        .strictObject({
          ...foundFace,
          match: z.boolean().describe("Whether the first candidate reaches the threshold."),
          matches: z
            .int()
            .describe(
              "How many people reach it, of as many as are listed, or of two; more than one: one person under two names, or people who look alike.",
            ),
          candidates: z
            .array(similarPerson)
            .describe("The most alike first; empty where nobody is enrolled."),
          threshold: z
            .number()
            .optional()
            .describe("Absent, with fpir and extrapolated, where nobody is enrolled."),
          fpir: measuredRate
            .optional()
            .describe("The chance that a stranger would be named at this threshold."),
          extrapolated: z
            .boolean()
            .optional()
            .describe("Whether the threshold lies beyond the rates that were measured."),
        })
        .meta({ id: "IdentifiedFace" }),
    ),
  })
  .meta({ id: "Identification" });

/** Photographs that one request may ask about. */
export const MOST_PHOTOGRAPHS = 16;

const problem = z.strictObject({
  code: z.string().describe("One of docs/errors.md, or a canonical status."),
  message: z.string(),
  hint: z.string().optional(),
});

const imageName = z.string().describe("The file's name, or `photograph N` where it had none.");

/** Each photograph of several, in the order in which they were sent. */
export const identifications = z
  .strictObject({
    people: identification.shape.people,
    photographs: z.array(
      z.union([
        z.strictObject({ image: imageName, faces: identification.shape.faces }),
        z.strictObject({
          image: imageName,
          error: problem.describe("Why the photograph could not be read."),
        }),
      ]),
    ),
  })
  .meta({ id: "Identifications" });

export const verification = z
  .strictObject({
    person: z.strictObject({ id: z.uuid(), name: z.string() }),
    same: z.boolean(),
    similarity: z.number(),
    threshold: z.number(),
    falseAcceptRate: measuredRate.optional(),
    face: z.strictObject({
      ...foundFace,
      number: z.int().describe("Which of the photograph's faces it is, the surest first, from 1."),
      found: z.int().describe("How many faces the photograph shows."),
    }),
  })
  .meta({ id: "PersonVerification" });

export const gallery = z
  .strictObject({
    name: z.string(),
    model: z.string(),
    people: z.int(),
    faces: z.int(),
    photos: z.int().describe("Photographs that are kept."),
    withoutFaces: z.int().describe("People without a face: no search finds them."),
    expired: z.int().describe("People whose consent has ended: no search finds them."),
    stale: z.int().describe("Faces whose embeddings another model made."),
  })
  .meta({ id: "Gallery" });

export const galleries = z.strictObject({
  galleries: z.array(z.strictObject({ name: z.string(), model: z.string() })),
});

const cursor = z.string().nullable().describe("For the next page; null on the last one.");
export const peoplePage = z
  .strictObject({ people: z.array(person), next: cursor })
  .meta({ id: "PeoplePage" });
export const facesPage = z.strictObject({ faces: z.array(face) }).meta({ id: "Faces" });

export const event = z
  .strictObject({
    id: z.int(),
    at: moment,
    action: z.string(),
    actor: z.string().describe("The id of the key, or the user of the command."),
    personId: z.uuid().nullable(),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "Event" });
export const eventsPage = z.strictObject({ events: z.array(event), next: cursor }).meta({ id: "EventsPage" });

const point = z.strictObject({
  far: share,
  threshold: z.number(),
  measuredFar: measuredRate,
  measuredTar: measuredRate,
});

const packFile = z.strictObject({ sha256: z.string(), bytes: z.int() });

/** What a page needs to know of the server. */
export const service = z
  .strictObject({
    version: z.string(),
    galleries: z.array(z.string()).describe("Those that the caller may read."),
    model: z
      .strictObject({
        name: z.string().describe("For /v1/models/NAME:verify and :detect."),
        measure: z.enum(["cosine", "probability"]),
        licence: z.string(),
        trainedOn: z.string(),
        note: z.string(),
        calibration: z
          .strictObject({
            threshold: z
              .number()
              .describe("For the false accept rate that is used unless another is wanted."),
            points: z.array(point),
            dataset: z.string(),
            people: z.string(),
            positives: z.int(),
            negatives: z.int(),
          })
          .nullable(),
        files: z
          .strictObject({ detector: packFile, embedding: packFile })
          .nullable()
          .describe("At /v1/service/files/SHA256; null where the model does not compute in floats."),
        report: z.boolean().describe("Whether the model's report page is at /v1/service/report."),
      })
      .meta({ id: "ServedModel" }),
  })
  .meta({ id: "Service" });

export const failure = z
  .strictObject({
    error: problem,
  })
  .meta({ id: "Failure" });

const limit = z.int().min(1).max(MAX_PAGE);
export const peopleQuery = z.strictObject({
  limit: limit.default(100),
  cursor: z.string().max(2000).optional().describe("`next` of the page before."),
  search: z.string().max(MAX_NAME).optional().describe("Only names that contain this text, in any case."),
});
export const eventsQuery = z.strictObject({
  limit: limit.default(100),
  cursor: z.string().max(2000).optional().describe("`next` of the page before."),
});

export const enrolFields = z.strictObject({
  face: z
    .enum(["largest", "central", "only"])
    .default("largest")
    .describe("Which face is meant where there are several."),
  strict: z.boolean().default(false).describe("Whether an unfit face is an error instead of a warning."),
  keepPhoto: z.boolean().default(false).describe("Whether the photograph itself is kept."),
  source: z.string().max(255).optional().describe("The photograph's file name."),
});
export const identifyFields = z.strictObject({
  fpir: rate.default(0.01).describe("The share of strangers that may be named wrongly."),
  candidates: z.int().min(1).max(100).default(5).describe("How many people to name for each face."),
});
export const verifyFields = z.strictObject({
  far: rate
    .optional()
    .describe("Highest false accept rate; 0.001, or the nearest calibrated one, when left out."),
  face: z.enum(["largest", "central", "only"]).default("largest"),
  strict: z.boolean().default(false),
});
export const mergeFields = z.strictObject({
  into: z.string().min(1).max(MAX_NAME).describe("Id or name of the person who gets the faces."),
});
