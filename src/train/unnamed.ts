/** @file Photographs without names, from which a student learns beside those of people. */
import { resolve } from "node:path";
import { FaceError } from "../base/errors.ts";
import { countText, type Log } from "../base/log.ts";
import { withFaces } from "../data/dataset-faces.ts";
import { listPhotographs } from "../data/folder.ts";
import type { Identity } from "../data/identity.ts";
import { isLoss, leftOutText, Tally } from "../data/left-out.ts";
import type { TrainConfig } from "./config.ts";
import { needsLabels } from "./step-losses.ts";

/** The settings that unnamed photographs go with. */
export type UnnamedSettings = Pick<
  TrainConfig,
  "unnamedPath" | "teacher" | "loss" | "faces" | "minImagesPerId"
>;

function refuse(what: string, hint: string): never {
  throw new FaceError("CONFIG_INVALID", `photographs without names ${what}`, { hint });
}

/**
 * Each photograph in a folder and below it as an identity of its own, the largest face of each where faces are cut out.
 * @param firstIndex number of the first image, after those of the dataset.
 * @throws FaceError `CONFIG_INVALID` without a teacher, or with settings that need names; `DATASET_NOT_FOUND`.
 */
export async function unnamedPhotos(
  { unnamedPath, teacher, loss, faces, minImagesPerId }: UnnamedSettings,
  firstIndex: number,
  log: Log,
): Promise<readonly Identity[]> {
  if (unnamedPath === undefined) return [];
  if (teacher === undefined) refuse("only teach a student", "set `teacher` opencv-sface");
  if (needsLabels(loss)) refuse(`say nothing about people to the loss ${loss}`, "leave out `loss`");
  if (minImagesPerId > 1) refuse("count as one image each", "set `minImagesPerId` 1");
  const leftOut = new Tally();
  const paths = await listPhotographs(resolve(unnamedPath), {
    onLeftOut: (reason, path) => leftOut.add(reason, path),
  });
  for (const item of leftOut.list().filter(isLoss)) log.warn(`left out: ${leftOutText(item)}`);
  if (paths.length === 0) {
    throw new FaceError("DATASET_INVALID", `there are no photographs in ${unnamedPath}`, {
      hint: "check `unnamedPath`, or leave it out",
    });
  }
  log.info(`${countText(paths.length)} photographs without names in ${unnamedPath}`);
  const identities = paths.map((path, i) => ({
    name: path,
    images: [{ kind: "file" as const, path, index: firstIndex + i }],
  }));
  if (faces === "none") return identities;
  const dataset = { name: "unnamed", kind: "folder" as const, identities };
  const framed = await withFaces(dataset, { framing: { kind: "aligned" } }, log);
  return framed.identities;
}
