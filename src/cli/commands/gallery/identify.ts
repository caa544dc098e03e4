/** @file `faceid gallery identify`: says who is on a photograph. */
import { Command } from "commander";
import { openGallery } from "../../../jobs/gallery.ts";
import { type IdentifiedFace, identify } from "../../../verify/identify.ts";
import { addNumber } from "../../options.ts";
import { type GalleryFlags, jobContext, print } from "./common.ts";

interface IdentifyFlags extends GalleryFlags {
  readonly fpir?: number;
  readonly candidates?: number;
}

const percent = (rate: number) => `${Number((100 * rate).toPrecision(3))} %`;

function faceText({ box, match, candidates, warnings }: IdentifiedFace, i: number): string {
  const [x, y, w, h] = box.map(Math.round) as [number, number, number, number];
  const first = candidates[0];
  const who = match ? first!.person : "nobody enrolled";
  return [
    `face ${i + 1} at ${x},${y}  ${w}x${h} pixels: ${who}`,
    ...candidates.map(({ person, similarity }) => `  ${similarity.toFixed(3).padStart(6)}  ${person}`),
    ...warnings.map((warning) => `  warning: ${warning}`),
  ].join("\n");
}

function facesText(faces: readonly IdentifiedFace[]): string {
  const [first] = faces;
  if (first === undefined) return "no face was found";
  const { threshold, fpir, extrapolated } = first;
  return [
    ...faces.map(faceText),
    ...(first.candidates.length === 0 ? ["warning: the gallery has nobody to compare with"] : []),
    `threshold ${threshold.toFixed(3)}: ${percent(fpir.estimate)} of strangers would be named (95 %: ${percent(fpir.low)} to ${percent(fpir.high)})`,
    ...(extrapolated
      ? [
          "warning: the model was not measured at so low a rate per face; the threshold continues the measured ones",
        ]
      : []),
  ].join("\n");
}

async function run(photo: string, flags: IdentifyFlags): Promise<void> {
  using context = jobContext(flags);
  await using opened = await openGallery(context.options);
  const { gallery, model } = opened;
  const { fpir, candidates } = flags;
  const faces = await identify(model, gallery, photo, { fpir, candidates });
  context.line[Symbol.dispose]();
  print(flags, { faces }, () => facesText(faces));
}

export function identifyCommand(): Command {
  const command = new Command("identify")
    .description("say who is on a photograph")
    .argument("<photo>", "a photograph, of one person or of several");
  addNumber(command, {
    flag: "fpir",
    help: "share of strangers that may be named wrongly (default 0.01)",
    least: 0,
    most: 1,
    fraction: true,
  });
  addNumber(command, {
    flag: "candidates",
    help: "people to list for each face (default 5)",
    least: 1,
    most: 100,
  });
  return command.action(run);
}
