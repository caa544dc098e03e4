/** @file What a dataset's folder holds that is not used: the reason by a file's name, and counts with an example. */
import { extname } from "node:path";
import { countText, shown } from "../base/log.ts";
import { IMAGE_EXTENSIONS } from "../image/decode.ts";

/** Files or folders that were left out for one reason. */
export interface LeftOut {
  readonly reason: string;
  readonly count: number;
  /** The path of the first one. */
  readonly example: string;
}

/** Reasons for leaving out files and folders. */
export const REASONS = {
  hidden: "hidden files and those of the system",
  other: "files of other kinds",
  loose: "photographs outside the people's folders",
  empty: "folders without photographs",
  container: "folders that hold people's folders, not photographs; give one with --dataset-path",
  unreadable: "folders that cannot be read",
  broken: "links that lead nowhere",
  device: "pipes or devices, which are not read",
  loop: "links that lead back to a folder above",
  encoding: "names that are not UTF-8; rename them",
  layout: (layout: string) => `photographs that do not fit the layout ${layout}; --dataset folder takes all`,
} as const;

/** Reasons that lose nothing a user would want. */
const HARMLESS: ReadonlySet<string> = new Set([REASONS.hidden, REASONS.other]);

/** Whether somebody who trains or measures should hear of it. */
export const isLoss = ({ reason }: Pick<LeftOut, "reason">): boolean => !HARMLESS.has(reason);

/** The words of a reason that are another for one file. */
const SINGULAR: readonly (readonly [many: RegExp, one: string])[] = [
  [
    /^((?:hidden|raw|unfinished) )?(file|photograph|folder|link|name|image|video|archive|download)s\b/,
    "$1$2",
  ],
  [/^pipes or devices\b/, "pipe or device"],
  [/ that (hold|lead)\b/, " that $1s"],
  [/ that do not\b/, " that does not"],
  [/\b(that|which) are not\b/, "$1 is not"],
  [/\bof cameras\b/, "of a camera"],
  [/\bin formats\b/, "in a format"],
  [/; (convert|unpack|rename|develop) them\b/, "; $1 it"],
];

const one = (reason: string) => SINGULAR.reduce((text, [many, single]) => text.replace(many, single), reason);

/** The reason of one file as a sentence: `clip.mp4 is a video, which is not read; save frames as JPEG`. */
export function sentenceOf(path: string, reason: string): string {
  const text = one(reason);
  const verb = reason === REASONS.encoding ? "has" : "is";
  return `${path} ${verb} ${/^[aeiou]/i.test(text) ? "an" : "a"} ${text}`;
}

/** One line for people. */
export const leftOutText = ({ reason, count, example }: LeftOut): string =>
  count === 1
    ? `1 ${one(reason)} (${shown(example)})`
    : `${countText(count)} ${reason} (first: ${shown(example)})`;

/** Counts by reason, each with its first example. */
export class Tally {
  readonly #counts = new Map<string, { count: number; example: string }>();

  add(reason: string, example: string, count = 1): void {
    const known = this.#counts.get(reason);
    if (known === undefined) this.#counts.set(reason, { count, example });
    else known.count += count;
  }

  addAll(list: Iterable<LeftOut>): void {
    for (const { reason, count, example } of list) this.add(reason, example, count);
  }

  list(): LeftOut[] {
    return [...this.#counts].map(([reason, { count, example }]) => ({ reason, count, example }));
  }
}

/** Folders and files that operating systems, network storage and file managers leave everywhere. */
const SYSTEM_FOLDER =
  /^(\.|@eadir$|@recycle$|@recently-snapshot$|@__thumb$|@tmp$|#recycle$|#snapshot$|__macosx$|\$recycle\.bin$|recycle[rd]$|system volume information$|lost\+found$|found\.\d{3}$|__pycache__$|node_modules$)/i;
const SYSTEM_FILE =
  /^(\.|~\$|thumbs\.db$|ehthumbs(_vista)?\.db$|desktop\.ini$|picasa\.ini$|zbthumbnail\.info$|icon\r$)|@syno/i;

export const isSystemFolder = (name: string): boolean => SYSTEM_FOLDER.test(name);
export const isSystemFile = (name: string): boolean => SYSTEM_FILE.test(name);

/** Extensions of files that are never read as photographs, by reason. */
const OTHER_KINDS: readonly (readonly [reason: string, extensions: string])[] = [
  [
    "raw files of cameras, which cannot be decoded; develop them to JPEG",
    "cr2 cr3 crw nef nrw arw srf sr2 dng orf rw2 raf pef srw raw 3fr erf kdc dcr mrw x3f rwl iiq",
  ],
  [
    "images in formats that cannot be decoded; convert them to JPEG or PNG",
    "jxl jp2 j2k jpf jpx jxr wdp tga exr hdr ico cur pcx psd xcf svg svgz eps ai emf wmf",
  ],
  [
    "videos, which are not read; save frames as JPEG",
    "mp4 mov avi mkv webm m4v mpg mpeg wmv 3gp mts m2ts flv",
  ],
  ["archives, which are not opened; unpack them", "zip tar gz tgz bz2 xz 7z rar zst"],
  ["unfinished downloads", "part crdownload download partial tmp"],
  [
    REASONS.other,
    "txt csv tsv json jsonl xml html htm md pdf npy npz mat xmp aae db ini log py pkl h5 doc docx xls xlsx ppt pptx mp3 wav m4a yaml yml lnk url pts pth pt pb onnx parquet rtf sqlite sh bat bak",
  ],
];

const REASON_OF = new Map(
  OTHER_KINDS.flatMap(([reason, extensions]) => extensions.split(" ").map((each) => [each, reason] as const)),
);

/**
 * Whether a file is a photograph by its name, or the reason why it is none; undefined where only its content can tell.
 * @param name without its folder
 */
export function kindByName(name: string): "photograph" | { readonly reason: string } | undefined {
  if (isSystemFile(name)) return { reason: REASONS.hidden };
  if (name.includes("\uFFFD")) return { reason: REASONS.encoding };
  const extension = extname(name).slice(1).toLowerCase();
  if (IMAGE_EXTENSIONS.has(extension)) return "photograph";
  const reason = REASON_OF.get(extension);
  return reason === undefined ? undefined : { reason };
}
