/** @file What the galleries of a server are answered from. */
import type { z } from "zod";
import type { service } from "../../api/schemas.ts";
import type { Log } from "../../base/log.ts";
import type { Gallery } from "../../gallery/gallery.ts";
import type { Matcher } from "../../gallery/matching.ts";
import type { ServerMetrics } from "../metrics.ts";
import type { PhotoThreads } from "../photos/photo-threads.ts";
import type { Access } from "./access.ts";
import { IdempotencyKeys } from "./idempotency.ts";

/** The served model as `/v1/service` describes it. */
export type ServedModel = z.output<typeof service>["model"];

export interface GalleriesOptions {
  /** Open galleries by the names that clients use; the server closes them. */
  readonly open: ReadonlyMap<string, Gallery>;
  /** The pack's measure and thresholds. */
  readonly matcher: Matcher;
  readonly model: ServedModel;
  /** Paths of the pack's files that are sent, by their SHA-256. */
  readonly files: ReadonlyMap<string, string>;
  /** The report page of the model, as `faceid report` writes it. Default: none. */
  readonly report?: string | undefined;
}

interface Parts {
  readonly access: Access;
  readonly photos: PhotoThreads;
  readonly metrics: ServerMetrics;
  readonly log: Log;
}

/** Enrolments after which it is looked whether searches need an index. */
const INDEX_EVERY = 1000;

/** Galleries with the threads and figures of a running server. */
export class GalleryService {
  readonly open: ReadonlyMap<string, Gallery>;
  readonly matcher: Matcher;
  readonly model: ServedModel;
  readonly files: ReadonlyMap<string, string>;
  readonly report: string | undefined;
  readonly access: Access;
  readonly photos: PhotoThreads;
  readonly metrics: ServerMetrics;
  readonly log: Log;
  readonly keys = new IdempotencyKeys();
  readonly #enrolled = new Map<string, number>();

  constructor(
    { open, matcher, model, files, report }: GalleriesOptions,
    { access, photos, metrics, log }: Parts,
  ) {
    this.open = open;
    this.matcher = matcher;
    this.model = model;
    this.files = files;
    this.report = report;
    this.access = access;
    this.photos = photos;
    this.metrics = metrics;
    this.log = log;
  }

  /** Counts an enrolment; now and then a gallery's index is built or measured, beside the requests. */
  countEnrolled(name: string): void {
    const enrolled = (this.#enrolled.get(name) ?? 0) + 1;
    this.#enrolled.set(name, enrolled);
    const gallery = this.open.get(name);
    if (enrolled % INDEX_EVERY !== 0 || gallery === undefined) return;
    void this.#index(name, gallery).catch((error: unknown) =>
      this.log.error("a gallery's index was not built", { gallery: name, error: String(error) }),
    );
  }

  async #index(name: string, gallery: Gallery): Promise<void> {
    await gallery.index();
    const index = await gallery.indexUse();
    if (index === undefined || index.used) return;
    const { recall, comparisons } = index;
    this.log.warn("searches of a gallery compare with everybody: its index misses too many", {
      gallery: name,
      recall,
      comparisons,
    });
  }
}
