/** @file What the pack's detector finds in each photograph of LFW: the truth that a detector of our own learns, and is measured by. */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readPairs } from "../../src/data/pairs-file.ts";
import { Detector } from "../../src/faces/detector.ts";
import type { Detection } from "../../src/faces/face.ts";
import { Pyramid } from "../../src/faces/pyramid.ts";
import { YunetNetwork } from "../../src/faces/yunet-network.ts";
import { decodePixels } from "../../src/image/decode.ts";
import { openRuntime } from "../../src/onnx/runtime/runtime.ts";

export const LFW = "../shared/datasets/lfw";
const YUNET = "../shared/models/opencv/face_detection_yunet_2023mar_int8bq.onnx";

/** Scores from which a face is one, and from which it may be one: such a place teaches nothing. */
export const SURE = 0.6;
const POSSIBLE = 0.4;

/** The faces of one photograph. */
export interface Labelled {
  /** Below the folder of LFW. */
  readonly path: string;
  readonly faces: readonly Detection[];
}

/** The pack's detector, with possible faces too. */
export async function openTeacher(): Promise<{ detector: Detector } & AsyncDisposable> {
  const network = await YunetNetwork.open(await readFile(YUNET), openRuntime);
  return {
    detector: new Detector(network, { threshold: POSSIBLE }),
    [Symbol.asyncDispose]: () => network.close(),
  };
}

/** The labels of a file; none where there is no file. */
export async function readLabels(file: string): Promise<Labelled[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text.split("\n").filter((line) => line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as Labelled);
}

/** Adds the labels of those photographs that a file lacks, one line each. */
export async function writeLabels(file: string, paths: readonly string[]): Promise<void> {
  const known = new Set((await readLabels(file)).map(({ path }) => path));
  await using teacher = await openTeacher();
  let done = 0;
  for (const path of paths) {
    if (++done % 500 === 0) console.error(`${done} of ${paths.length} photographs`);
    if (known.has(path)) continue;
    const faces = await teacher.detector.find(new Pyramid(await decodePixels(join(LFW, path))));
    await appendFile(file, `${JSON.stringify({ path, faces } satisfies Labelled)}\n`);
  }
}

/** The people of some folds of LFW's pairs. */
export async function peopleOf(folds: readonly number[]): Promise<Set<string>> {
  const file = await readPairs(`${LFW}/pairs.txt`);
  const pairs = folds.flatMap((fold) => file.folds[fold - 1]!);
  return new Set(pairs.flatMap(({ left, right }) => [left.name, right.name]));
}
