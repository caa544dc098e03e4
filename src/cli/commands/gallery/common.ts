/** @file What the gallery's subcommands share: flags, log, and JSON or text on standard output. */

import { didYouMean, FaceError } from "../../../base/errors.ts";
import { countText } from "../../../base/log.ts";
import { Gallery, type GalleryIndex } from "../../../gallery/gallery.ts";
import type { AboutBuild } from "../../../gallery/nearest-index.ts";
import type { GalleryJobOptions } from "../../../jobs/gallery.ts";
import { requireText } from "../../options.ts";
import { consoleLog, type Interrupt, onInterrupt, say, systemSignals } from "../../process.ts";
import { StatusLine } from "../../progress.ts";

export interface GalleryFlags {
  readonly gallery: string;
  readonly galleryName: string;
  readonly json?: true;
  readonly model?: string;
}

/** What a job needs, with a line of progress and Ctrl-C; disposing clears both. */
export interface JobContext extends Disposable {
  readonly options: GalleryJobOptions & Required<Pick<GalleryJobOptions, "signal" | "onBuild">>;
  readonly line: StatusLine;
  /** As `Interrupt` has it. */
  readonly requireNone: Interrupt["requireNone"];
}

/** After a stop, for work that leaves out what is done already. */
const GO_ON = "run the same command again: it goes on from there";

/** Work that the same command continues: where it was stopped, the error says so, in whatever phase. */
export async function continuing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FaceError && error.code === "INTERRUPTED" && error.hint === undefined))
      throw error;
    throw new FaceError(error.code, error.message, { hint: GO_ON, cause: error });
  }
}

/** What work on photographs finishes before it stops. */
export const AFTER_PHOTOGRAPH = "after this photograph";

interface JobContextOptions {
  /** Whether the same command continues what was stopped. */
  readonly goesOn?: boolean;
  /** What a first signal waits for, where it waits for anything. */
  readonly after?: string;
}

export function jobContext(
  { gallery, galleryName, json = false, model }: Omit<GalleryFlags, "json"> & { json?: boolean },
  { goesOn = false, after = "" }: JobContextOptions = {},
): JobContext {
  requireText("--gallery (FACEID_GALLERY)", gallery, "a folder or an address");
  const line = new StatusLine();
  let work = after;
  const interrupt = onInterrupt(
    () => line.say(`stopping ${work}`.trimEnd()),
    goesOn ? { kept: () => `what is in the gallery stays there; ${GO_ON}` } : {},
  );
  const onBuild = ({ comparisons, blocks }: AboutBuild) => {
    work = "the build of the index";
    if (!json) {
      line.say(
        `building an index of ${countText(comparisons)} for fast searches; Ctrl-C stops it, and keeps what was enrolled`,
      );
    }
    return blocks ? systemSignals() : undefined;
  };
  const log = { ...consoleLog({ quiet: json }), info: (text: string) => (json ? undefined : line.say(text)) };
  return {
    options: { gallery, name: galleryName, model, log, signal: interrupt.signal, onBuild },
    line,
    requireNone: interrupt.requireNone,
    [Symbol.dispose]() {
      line[Symbol.dispose]();
      interrupt[Symbol.dispose]();
    },
  };
}

/** Opens a gallery without its model, runs the work, and closes it. */
export async function withGallery<T>(
  flags: GalleryFlags,
  work: (gallery: Gallery) => Promise<T>,
): Promise<T> {
  requireText("--gallery (FACEID_GALLERY)", flags.gallery, "a folder or an address");
  await using gallery = await Gallery.open(flags.gallery, { name: flags.galleryName });
  return await work(gallery);
}

/** Names that are looked through for one like a name that nobody has. */
const MOST_NAMES = 10_000;
const PAGE = 1000;

/**
 * The same for work on people by name or id: where there is nobody of that name, the error has the nearest one. A server's answer has
 * none, since its client may not be one who may read names.
 */
export async function withPeople<T>(
  flags: GalleryFlags,
  who: readonly string[],
  work: (gallery: Gallery) => Promise<T>,
): Promise<T> {
  return await withGallery(flags, async (gallery) => {
    try {
      return await work(gallery);
    } catch (error) {
      if (!(error instanceof FaceError && error.code === "PERSON_NOT_FOUND")) throw error;
      const { message, hint } = error;
      const missing = who.find((name) => message.includes(JSON.stringify(name)));
      if (missing === undefined) throw error;
      const near = didYouMean(missing, await namesOf(gallery));
      throw new FaceError(error.code, `${message}${near}`, {
        ...(hint !== undefined && { hint }),
        cause: error,
      });
    }
  });
}

async function namesOf(gallery: Gallery): Promise<string[]> {
  const names: string[] = [];
  while (names.length < MOST_NAMES) {
    const page = await gallery.people.list({ after: names.at(-1) ?? "", limit: PAGE });
    names.push(...page.map(({ name }) => name));
    if (page.length < PAGE) break;
  }
  return names;
}

/** Prints an object for programs, or lines for people. */
export function print({ json }: Pick<GalleryFlags, "json">, object: unknown, text: () => string): void {
  if (json === true) console.log(JSON.stringify(object));
  else say(text());
}

/** What an index finds, in words. */
export function indexText({ recall, low, high }: GalleryIndex): string {
  const [share, from, to] = [recall, low, high].map((each) => (100 * each).toFixed(1));
  return `${share} % (95 %: ${from} to ${to} %) of the people whom a comparison with everybody finds`;
}

/** Why searches do without an index, where one was built and missed too many. */
export const unusedIndexLines = (index: GalleryIndex | undefined): string[] =>
  index === undefined || index.used
    ? []
    : [
        `warning: searches compare with everybody: an index of ${countText(index.comparisons)} finds only ${indexText(index)}; for faster searches divide the people among several galleries (docs/scaling.md)`,
      ];
