/** @file `faceid faces`: lists the faces of photographs as text, CSV or JSON, and draws them. */

import type { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { counted, reasonOf, shown } from "../../base/log.ts";
import type { Mode } from "../../faces/mode.ts";
import { csvLine } from "../../jobs/csv.ts";
import type { ListedPhoto } from "../../jobs/faces.ts";
import type { PhotoFace } from "../../verify/photo-model.ts";
import { precisionOption, profileOption } from "../options.ts";
import { consoleLog, onInterrupt, STOPPING_MS, say } from "../process.ts";

interface Flags extends Mode {
  readonly show?: string;
  readonly json?: true;
  readonly csv?: true;
}

/** Columns of the table, as numbers of a face. */
const COLUMNS: Readonly<Record<string, (face: PhotoFace) => number>> = {
  x: ({ box }) => box[0],
  y: ({ box }) => box[1],
  width: ({ box }) => box[2],
  height: ({ box }) => box[3],
  ...Object.fromEntries(
    ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"].flatMap((name, i) =>
      (["x", "y"] as const).map((axis, k) => [
        `${name}_${axis}`,
        ({ landmarks }: PhotoFace) => landmarks[i]![k]!,
      ]),
    ),
  ),
  score: ({ score }) => score,
  eye_distance: ({ quality }) => quality.eyeDistance,
  yaw: ({ quality }) => quality.yaw,
  pitch: ({ quality }) => quality.pitch,
  roll: ({ quality }) => quality.roll,
  sharpness: ({ quality }) => quality.sharpness,
  brightness: ({ quality }) => quality.brightness,
  contrast: ({ quality }) => quality.contrast,
  inside: ({ quality }) => quality.inside,
};

/** Four decimals are below what a detector can tell. */
const numberText = (value: number) => String(Number(value.toFixed(4)));

const CSV_HEAD = csvLine(["image", ...Object.keys(COLUMNS), "warnings"]);

/** Whole degrees; adding 0 takes the sign of -0. */
const degrees = (angle: number) => String(Math.round(angle) + 0);

/** One line for each face; a photograph without faces has none. */
function csvLines(photo: ListedPhoto): string[] {
  if ("error" in photo) return [];
  const fields = (face: PhotoFace) => [
    photo.image,
    ...Object.values(COLUMNS).map((value) => numberText(value(face))),
    face.warnings.join("; "),
  ];
  return photo.faces.map((face) => csvLine(fields(face)));
}

function photoText(photo: ListedPhoto): string {
  if ("error" in photo) return shown(reasonOf({ path: photo.image, reason: photo.error.message }));
  const { image, width, height, faces } = photo;
  const count = counted(faces.length, "face");
  const lines = faces.map(({ box, score, quality, warnings }, i) => {
    const [x, y, w, h] = box.map(Math.round) as [number, number, number, number];
    const where = `${String(i + 1).padStart(String(faces.length).length)}  at ${x},${y}  ${w}x${h} pixels  score ${score.toFixed(2)}`;
    const angles = `yaw ${degrees(quality.yaw)}  pitch ${degrees(quality.pitch)}  roll ${degrees(quality.roll)}`;
    return [`  ${where}  ${angles}`, ...warnings.map((warning) => `    ${warning}`)].join("\n");
  });
  return [`${shown(image)}  ${width}x${height} pixels, ${count}`, ...lines].join("\n");
}

/** What a folder came to. */
function countText(listed: readonly ListedPhoto[]): string {
  const read = listed.flatMap((photo) => ("error" in photo ? [] : [photo]));
  const faces = read.reduce((sum, photo) => sum + photo.faces.length, 0);
  const without = read.filter((photo) => photo.faces.length === 0).length;
  return `${counted(read.length, "photograph")} with ${counted(faces, "face")}, ${without} without a face; ${counted(listed.length - read.length, "file")} could not be read`;
}

/**
 * Where the pictures are; none is drawn of a photograph that cannot be read.
 * @param isFile whether `show` is the only picture, else the folder of the pictures.
 */
function picturesText(listed: readonly ListedPhoto[], show: string, isFile: boolean): string[] {
  const drawn = listed.filter((photo) => !("error" in photo)).length;
  if (drawn === 0) return [];
  return [`wrote ${isFile ? "" : `${counted(drawn, "picture")} to `}${shown(show)}`];
}

/** A photograph for programs. */
function photoObject(photo: ListedPhoto): object {
  if (!("error" in photo)) return photo;
  const { code, message } = photo.error;
  return { image: photo.image, error: { code, message } };
}

async function run(photos: readonly string[], { precision, profile, show, json, csv }: Flags): Promise<void> {
  if (json === true && csv === true) {
    throw new FaceError("CONFIG_INVALID", "--json and --csv are two formats of one list", {
      hint: "choose one",
    });
  }
  const log = consoleLog({ quiet: json === true || csv === true });
  using interrupt = onInterrupt(() => log.warn("stopping"), { patience: () => STOPPING_MS });
  if (csv === true) console.log(CSV_HEAD);
  // Text and CSV appear photograph by photograph, so that what was found before an interruption is not lost.
  const onPhoto = (photo: ListedPhoto) => {
    if (csv === true) for (const line of csvLines(photo)) console.log(line);
    else if (json !== true) say(photoText(photo));
  };
  const { listFaces } = await import("../../jobs/faces.ts");
  const listed = await listFaces(photos, {
    precision,
    profile,
    show,
    log,
    onPhoto,
    signal: interrupt.signal,
  });
  await interrupt.requireNone();
  if (json === true) console.log(JSON.stringify({ photographs: listed.map(photoObject) }));
  for (const photo of listed) {
    if (!("error" in photo)) continue;
    if (csv === true) log.error(photo.error.message);
    // What a folder holds beside photographs is no mistake of the caller.
    if (photos.includes(photo.image)) process.exitCode = photo.error.exitCode;
  }
  if (json === true || csv === true) return;
  if (listed.length > photos.length) say(countText(listed));
  if (show === undefined) return;
  const isFile = photos.length === 1 && listed[0]?.image === photos[0];
  for (const line of picturesText(listed, show, isFile)) console.log(line);
}

export function facesCommand(command: Command): Command {
  return command
    .argument("<photos...>", "photographs, or folders of them")
    .addOption(precisionOption())
    .addOption(profileOption())
    .option("--show <path>", "draw the faces: a .png for one photograph, a folder for several")
    .option("--json", "print one JSON object")
    .option("--csv", "print one line for each face, with a line of names")
    .action(run);
}
