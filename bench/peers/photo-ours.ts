/** @file faceid's side of bench/peers-photos.ts: argument a precision; paths on standard input, answers as photo_peer.py. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { FaceError } from "../../src/base/errors.ts";
import { FacePipeline } from "../../src/faces/pipeline.ts";
import { PRECISIONS } from "../../src/faces/precision.ts";

const [name, detectorFile, embeddingFile] = process.argv.slice(2) as [string, string, string];
const precision = PRECISIONS.find((each) => each === name);
const [detector, embedding] = await Promise.all([readFile(detectorFile), readFile(embeddingFile)]);
await using pipeline = await FacePipeline.open({ detector, embedding }, { precision });
let started: NodeJS.CpuUsage | undefined;
for await (const path of createInterface({ input: process.stdin })) {
  const found = await pipeline.embedPhotograph(path, { face: "central" }).catch((error: unknown) => {
    if (error instanceof FaceError && error.code === "FACE_NOT_FOUND") return undefined;
    throw error;
  });
  console.log(JSON.stringify(found === undefined ? null : [...found.embedding]));
  started ??= process.cpuUsage();
}
const { user, system } = process.cpuUsage(started);
const peakMegabytes = process.resourceUsage().maxRSS / 1024;
console.log(
  JSON.stringify({ cpuMs: (user + system) / 1000, peakMegabytes, version: `faceid, ${precision}` }),
);
