/** @file `faceid gallery identify`: says who is on photographs. */
import { Command } from "commander";
import { percentText, scoreText, weightsText } from "../../../artifact/rates.ts";
import { counted, countText, shown } from "../../../base/log.ts";
import { type OpenedGallery, openGallery } from "../../../jobs/gallery.ts";
import { noneThere, type UnreadPhoto, wantedPhotos } from "../../../jobs/photos-in.ts";
import {
  type IdentifiedFace,
  type IdentifiedPhoto,
  identify,
  identifyPhotos,
} from "../../../verify/identify.ts";
import { addNumber } from "../../options.ts";
import { commandText, say } from "../../process.ts";
import { AFTER_PHOTOGRAPH, type GalleryFlags, type JobContext, jobContext, print } from "./common.ts";

interface IdentifyFlags extends GalleryFlags {
  readonly fpir?: number;
  readonly candidates?: number;
}

/** What is doubtful where several people reach the threshold. */
const severalText = (matches: number) =>
  `  warning: ${countText(matches)} people reach the threshold: one person under two names (${commandText("gallery", "merge")}), or people who look alike`;

function faceText({ box, match, matches, candidates, warnings }: IdentifiedFace, i: number): string {
  const [x, y, w, h] = box.map(Math.round) as [number, number, number, number];
  const [first] = candidates;
  const who = first === undefined ? "not compared" : match ? first.person : "nobody enrolled";
  return [
    `face ${i + 1} at ${x},${y}  ${w}x${h} pixels: ${who}`,
    ...candidates.map(({ person, similarity }) => `  ${scoreText(similarity).padStart(6)}  ${person}`),
    ...(matches > 1 ? [severalText(matches)] : []),
    ...warnings.map((warning) => `  warning: ${warning}`),
  ].join("\n");
}

const NOBODY =
  "nobody is enrolled in the gallery; people without a face, and those whose consent has ended, are not searched";

/** What decided, in words. */
function thresholdLines({ threshold, fpir, extrapolated }: IdentifiedFace): string[] {
  if (threshold === undefined || fpir === undefined) return [NOBODY];
  const interval = extrapolated ? "" : ` (95 %: ${percentText(fpir.low)} to ${percentText(fpir.high)})`;
  const about = extrapolated ? "about " : "";
  const rate = `${about}${percentText(fpir.estimate)} of strangers would be named${interval}${weightsText(fpir.weights)}`;
  return [
    `threshold ${scoreText(threshold)}: ${rate}`,
    ...(extrapolated
      ? [
          "warning: the model was not measured at so low a rate per face; the threshold continues the measured ones",
        ]
      : []),
  ];
}

function facesText(image: string, faces: readonly IdentifiedFace[]): string {
  const [first] = faces;
  if (first === undefined) {
    return `no face was found in ${shown(image)}; use a photograph that shows faces from the front, sharp and at least 40 pixels wide`;
  }
  return [...faces.map(faceText), ...thresholdLines(first)].join("\n");
}

/** A photograph of several, for people. */
const photoText = (photo: IdentifiedPhoto): string =>
  `${shown(photo.image)}\n${"error" in photo ? shown(photo.error.message) : facesText(photo.image, photo.faces)}\n`;

/** How many of several photographs were read, and what was found on them. */
function countsText(identified: readonly IdentifiedPhoto[], unread: number): string {
  const read = identified.flatMap((photo) => ("error" in photo ? [] : [photo.faces]));
  const faces = read.flat();
  const named = faces.filter(({ match }) => match).length;
  const lost = identified.length - read.length + unread;
  const text = `${counted(read.length, "photograph")} with ${counted(faces.length, "face")}, ${countText(named)} named`;
  return lost === 0 ? text : `${text}; ${counted(lost, "file")} could not be read`;
}

/** A photograph of several, for programs. */
function photoObject(photo: IdentifiedPhoto): object {
  if (!("error" in photo)) return photo;
  const { code, message } = photo.error;
  return { image: photo.image, error: { code, message } };
}

async function runSeveral(
  { gallery, model }: OpenedGallery,
  photos: readonly string[],
  unread: readonly UnreadPhoto[],
  { options: { signal }, line, requireNone }: JobContext,
  { fpir, candidates, json }: IdentifyFlags,
): Promise<void> {
  // Text appears photograph by photograph, so that what was found before an interruption is not lost.
  const onPhoto = (photo: IdentifiedPhoto) => {
    if (json !== true) say(photoText(photo));
  };
  line[Symbol.dispose]();
  const identified = await identifyPhotos(model, gallery, photos, { fpir, candidates, signal, onPhoto });
  await requireNone();
  endSeveral(identified, unread, json);
}

/**
 * The object for programs, and the exit code.
 * @param unread files of folders that are not read: no mistake of the caller.
 */
function endSeveral(
  identified: readonly IdentifiedPhoto[],
  unread: readonly UnreadPhoto[],
  json: true | undefined,
): void {
  const all = [...identified, ...unread];
  if (json === true) console.log(JSON.stringify({ photographs: all.map(photoObject) }));
  else {
    for (const photo of unread) say(photoText(photo));
    say(countsText(identified, unread.length));
  }
  for (const photo of identified) if ("error" in photo) process.exitCode = photo.error.exitCode;
}

async function run(given: readonly string[], flags: IdentifyFlags): Promise<void> {
  using context = jobContext(flags, { after: AFTER_PHOTOGRAPH });
  const { photos: wanted, unread: others } = await wantedPhotos(given);
  const photos = wanted.map(({ path }) => path);
  const isOne = photos.length === 1 && photos[0] === given[0];
  const unread = await noneThere(photos);
  if (unread !== undefined) {
    if (isOne) throw unread[0]!.error;
    if (flags.json !== true) for (const photo of unread) say(photoText(photo));
    endSeveral(unread, others, flags.json);
    return;
  }
  await using opened = await openGallery(context.options);
  if (!isOne) {
    await runSeveral(opened, photos, others, context, flags);
    return;
  }
  const { gallery, model } = opened;
  const { fpir, candidates } = flags;
  const faces = await identify(model, gallery, photos[0]!, { fpir, candidates });
  await context.requireNone();
  context.line[Symbol.dispose]();
  print(flags, { faces }, () => facesText(photos[0]!, faces));
}

export function identifyCommand(): Command {
  const command = new Command("identify")
    .description("say who is on photographs")
    .argument("<photos...>", "photographs, each of one person or of several, or folders of them");
  addNumber(command, {
    flag: "fpir",
    help: "share of strangers that may be named wrongly (default 0.01)",
    least: 0,
    most: 1,
    fraction: true,
    exclusive: true,
  });
  addNumber(command, {
    flag: "candidates",
    help: "people to list for each face (default 5)",
    least: 1,
    most: 100,
  });
  return command.action(run);
}
