/** @file `faceid verify`: says whether two photographs show one person, without a server. */

import type { Command } from "commander";
import { percentText, scoreText, thresholdText, weightsText } from "../../artifact/rates.ts";
import { asFaceError, ERRORS, FaceError } from "../../base/errors.ts";
import { counted, countText, shown } from "../../base/log.ts";
import type { FacePicks } from "../../faces/choose.ts";
import type { Mode } from "../../faces/mode.ts";
import type { Candidate, VerifiedFolder } from "../../jobs/verify.ts";
import type { PhotoDecision, PhotoVerification } from "../../verify/photo-model.ts";
import { addNumber, farFlag, pairFaceOption, precisionOption, profileOption } from "../options.ts";
import { commandText, consoleLog, onInterrupt, STOPPING_MS } from "../process.ts";
import { wrappedRemarks } from "../terminal.ts";

interface Flags extends Mode {
  readonly model?: string;
  readonly far?: number;
  readonly calibration?: string;
  readonly show?: string;
  readonly face: FacePicks;
  readonly strict?: true;
  readonly detect: boolean;
  readonly json?: true;
}

/** Exit code for photographs of two people; 0 stands for one person. */
const DIFFERENT = 1;

const words = ({ same }: PhotoDecision) => (same ? "same person" : "different people");

/** @param each what the rate is for, where several photographs were compared. */
function rateLine({ falseAcceptRate: rate }: PhotoDecision, each = ""): string {
  if (rate === undefined) return "false accept rate  not measured at this threshold";
  return `false accept rate  ${percentText(rate.estimate)}  (95 %: ${percentText(rate.low)} to ${percentText(rate.high)})${each}${weightsText(rate.weights)}`;
}

/** Says where another rate than the wanted one was used. */
function farNote(wanted: number | undefined, { far: used }: PhotoDecision): string[] {
  if (wanted === undefined || used === undefined || used === wanted) return [];
  return [
    `note: no threshold was measured for a rate of ${wanted}; that of ${used}, the next lower, decides`,
  ];
}

/** Both numbers as every text has them, or with as many decimals as it takes to see which is larger. */
function scoreTexts({ similarity, threshold }: PhotoDecision): [string, string] {
  const usual = [scoreText(similarity), scoreText(threshold)] as [string, string];
  if (usual[0] !== usual[1]) return usual;
  const digits = [4, 5, 6].find((each) => similarity.toFixed(each) !== threshold.toFixed(each)) ?? 6;
  return [similarity.toFixed(digits), threshold.toFixed(digits)];
}

const PLACES = ["first", "second"] as const;

/** Which faces were compared, where a photograph shows several. */
function facesLine({ faces }: PhotoVerification): string[] {
  if (faces.every(({ found }) => found === 1)) return [];
  const [a, b] = faces.map(({ number, found }) => `${number} of ${found}`);
  return [`faces compared     ${a} in the first photograph, ${b} in the second`];
}

/** What to do where it is not sure that the face that is meant was compared. */
function rivalsHint({ faces }: PhotoVerification, photographs: readonly string[]): string[] {
  return faces.flatMap(({ warnings }, i) =>
    warnings.some((warning) => warning.includes("of about the same size were found"))
      ? [`  ${commandText("faces", photographs[i]!)} lists and numbers them; --face N compares another one`]
      : [],
  );
}

const CROPS_WARNING = "no face was looked for; the rate holds only for crops that lie as the model's own do";

/** What pictures that were taken as crops are warned of. */
const cropWarnings = (verifications: readonly PhotoVerification[]): string[] => [
  CROPS_WARNING,
  ...new Set(verifications.flatMap(({ warnings = [] }) => warnings)),
];

/** Doubtful pictures of a folder that its answer names. */
const MOST_NAMED = 3;

function pairText(
  verification: PhotoVerification,
  { detect, far, show }: Pick<Flags, "detect" | "far" | "show">,
  photographs: readonly string[],
): string {
  const { model, faces } = verification;
  const [similarity, threshold] = scoreTexts(verification);
  return [
    words(verification),
    `similarity         ${similarity}`,
    `threshold          ${threshold}  (${thresholdText(verification.far, far)})`,
    rateLine(verification),
    `model              ${model}`,
    ...facesLine(verification),
    ...(show === undefined ? [] : [`picture            ${shown(show)}`]),
    ...farNote(far, verification),
    ...faces.flatMap(({ warnings }, i) =>
      warnings.map((warning) => `warning: ${PLACES[i]} photograph: ${warning}`),
    ),
    ...rivalsHint(verification, photographs),
    ...(detect ? [] : cropWarnings([verification]).map((text) => `warning: ${shown(text)}`)),
  ].join("\n");
}

/** What came of a photograph that could not be compared, in words. */
const FAILURES: Readonly<Record<string, string>> = {
  FACE_NOT_FOUND: "no face found",
  SEVERAL_FACES: "several faces",
  FACE_UNFIT: "face unfit",
  IMAGE_UNREADABLE: "cannot be read",
};

function candidateLine(candidate: Candidate): string {
  if ("error" in candidate) {
    const { code } = candidate.error;
    return `${(FAILURES[code] ?? code).padEnd(24)} ${shown(candidate.image)}`;
  }
  const { verification, image } = candidate;
  const face = verification.faces[1];
  const which = face === undefined || face.found === 1 ? "" : `  (face ${face.number} of ${face.found})`;
  return `${words(verification).padEnd(16)}  ${scoreTexts(verification)[0].padStart(6)} ${shown(image)}${which}`;
}

type Compared = Extract<Candidate, { readonly compared: number }>;

/** What the list of a folder does not show: faces that were not compared, and doubts about those that decided. */
function candidateNotes(answered: readonly Compared[]): string[] {
  const of = ({ verification: { faces } }: Compared) => faces[1];
  const partly = answered.filter((each) => (of(each)?.found ?? 1) > each.compared).length;
  const doubtful = answered.filter((each) => (of(each)?.warnings ?? []).length > 0).length;
  return [
    ...(partly === 0
      ? []
      : [`warning: ${counted(partly, "photograph")} with faces that --face or --strict left out`]),
    ...(doubtful === 0
      ? []
      : [`warning: ${counted(doubtful, "photograph")} with a doubtful face; --json says why`]),
  ];
}

/** From this many accepted strangers on, in expectation, a folder's answer says so. */
const NOTABLE_ACCEPTS = 0.1;

/** How many of the compared faces the rate lets pass, where that is not next to none. */
function strangersNote({ falseAcceptRate: rate }: PhotoDecision, compared: number): string[] {
  const accepted = compared * (rate?.estimate ?? 0);
  if (accepted < NOTABLE_ACCEPTS) return [];
  return [
    `note: if all ${countText(compared)} were strangers, about ${Number(accepted.toPrecision(2))} would be accepted`,
  ];
}

function folderText({ candidates, compared }: VerifiedFolder, far: number | undefined): string {
  const answered = candidates.filter((each) => "verification" in each);
  const [first] = answered.map(({ verification }) => verification);
  const failed = candidates.length - answered.length;
  const same = answered.filter(({ verification }) => verification.same).length;
  const count = `${countText(same)} of ${counted(candidates.length, "photograph")} ${same === 1 ? "shows" : "show"} the same person`;
  const summary = failed === 0 ? count : `${count}; ${countText(failed)} could not be compared`;
  const rest =
    first === undefined
      ? []
      : [
          // Nobody looked for a face with --no-detect.
          first.faces.length === 0
            ? `pictures compared  ${compared}`
            : `faces compared     ${compared} in ${counted(answered.length, "photograph")}`,
          `threshold          ${scoreText(first.threshold)}  (${thresholdText(first.far, far)})`,
          rateLine(first, ` for each ${first.faces.length === 0 ? "picture" : "face"} compared`),
          `model              ${first.model}`,
          ...farNote(far, first),
          ...strangersNote(first, compared),
          ...candidateNotes(answered),
        ];
  return [...candidates.map(candidateLine), summary, ...rest].join("\n");
}

function errorObject(error: FaceError): object {
  const { code, message } = error;
  return { code, message, ...("image" in error ? { image: error.image } : {}) };
}

/** A candidate for programs. */
function candidateObject(candidate: Candidate): object {
  if ("error" in candidate) return { image: candidate.image, error: errorObject(candidate.error) };
  const { image, verification, compared } = candidate;
  return { image, ...verification, compared };
}

/** The exit code of an error; 0 and 1 are answers. */
function failureExit(error: unknown): number {
  if (!(error instanceof FaceError)) return ERRORS.INTERNAL.exit;
  return error.exitCode <= DIFFERENT ? ERRORS.INTERNAL.exit : error.exitCode;
}

/** One against many succeeds with one photograph of the person; what could not be compared is no "different". */
function folderExit({ candidates }: VerifiedFolder): number {
  if (candidates.some((each) => "verification" in each && each.verification.same)) return 0;
  const failed = candidates.find((each) => "error" in each);
  return failed === undefined ? DIFFERENT : failureExit(failed.error);
}

async function answer(photo: string, other: string, flags: Flags): Promise<void> {
  const { json = false, detect, ...options } = flags;
  const log = consoleLog({ quiet: json });
  using interrupt = onInterrupt(() => log.warn("stopping"), { patience: () => STOPPING_MS });
  const { verifyPhotos } = await import("../../jobs/verify.ts");
  const result = await verifyPhotos(photo, other, { ...options, detect, log, signal: interrupt.signal });
  await interrupt.requireNone();
  if ("candidates" in result) {
    const { candidates, compared, leftOut } = result;
    const answered = candidates.flatMap((each) => ("verification" in each ? [each.verification] : []));
    const warnings = detect ? [] : cropWarnings(answered);
    const told = {
      candidates: candidates.map(candidateObject),
      compared,
      ...(!detect && { warnings }),
      ...(leftOut.length > 0 && { leftOut }),
    };
    const more = (count: number, what: string) =>
      count > 0 ? [`warning: ${counted(count, `more ${what}`)} like these; --json names them`] : [];
    const lines = [
      folderText(result, flags.far),
      ...warnings.slice(0, 1 + MOST_NAMED).map((warning) => `warning: ${shown(warning)}`),
      ...more(warnings.length - 1 - MOST_NAMED, "picture"),
      ...leftOut.slice(0, MOST_NAMED).map(({ reason }) => `warning: left out: ${shown(reason)}`),
      ...more(leftOut.length - MOST_NAMED, "file"),
    ];
    console.log(json ? JSON.stringify(told) : wrappedRemarks(lines.join("\n"), process.stdout));
    process.exitCode = folderExit(result);
    return;
  }
  const told = detect ? result : { ...result, warnings: cropWarnings([result]) };
  const text = pairText(result, flags, [photo, other]);
  console.log(json ? JSON.stringify(told) : wrappedRemarks(text, process.stdout));
  process.exitCode = result.same ? 0 : DIFFERENT;
}

async function run(photo: string, other: string, flags: Flags): Promise<void> {
  // Node ends with 1 after an exception that nobody catches, which would say that the people differ.
  const end = (error: unknown) => {
    console.error(error);
    process.exit(ERRORS.INTERNAL.exit);
  };
  process.once("uncaughtException", end);
  try {
    await answer(photo, other, flags);
  } catch (error) {
    const ours = asFaceError(error);
    if (ours !== undefined && ours.exitCode !== failureExit(ours)) {
      throw new FaceError("INTERNAL", ours.message, { cause: error });
    }
    throw error;
  } finally {
    process.off("uncaughtException", end);
  }
}

export function verifyCommand(command: Command): Command {
  command
    .argument("<photo>", "a photograph")
    .argument("<other>", "another one, or a folder of photographs to find the same person in")
    .option(
      "--model <name|folder>",
      "a model pack, or the folder of an exported model (default opencv-sface)",
    )
    .addOption(precisionOption())
    .addOption(profileOption())
    .option(
      "--calibration <file>",
      "thresholds of your own for a model pack, as faceid calibrate writes them",
    )
    .option("--show <picture.png>", "draw both photographs with boxes, points and crops")
    .addOption(
      pairFaceOption(
        "(default largest; with a folder all faces of its photographs, unless a second is given)",
      ),
    )
    .option("--strict", "refuse faces that are small, blurred, turned away, cut off or badly lit")
    .option("--no-detect", "take the photographs as crops of faces already")
    .option("--json", "print one JSON object");
  addNumber(command, farFlag("(default 0.001, or the lowest that the model supports)"));
  return command
    .addHelpText(
      "after",
      "\nExit code: 0 same person, 1 different people, others are errors\n(docs/errors.md).",
    )
    .action(run);
}
