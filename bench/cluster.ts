/**
 * @file Clusters of LFW's photographs beside its people: pairwise F1 and B-cubed, at thresholds of the pack's calibration record.
 * `npm run bench -- cluster [--cache FOLDER]`, after `npm run bench -- pack-calibration`, whose embeddings it reads.
 */
import { parseArgs } from "node:util";
import { type Agreement, measureClusters } from "../src/evaluate/clustering.ts";
import type { EmbeddedPerson } from "../src/evaluate/identification.ts";
import { clusterByAverage } from "../src/gallery/cluster.ts";
import { OPENCV_SFACE_CALIBRATION } from "../src/verify/opencv-sface-calibration.ts";
import { embeddedPeople } from "./embedded-people.ts";
import { memoryMegabytes } from "./process-usage.ts";

const { values: flags } = parseArgs({
  options: { cache: { type: "string", default: "runs/pack-calibration" } },
});

/** At one in ten, everybody is somebody else. */
const POINTS = OPENCV_SFACE_CALIBRATION.calibration.operatingPoints.filter(({ far }) => far <= 0.01);

const shown = ({ precision, recall, f1 }: Agreement) =>
  `precision ${(100 * precision).toFixed(2)}  recall ${(100 * recall).toFixed(2)}  F1 ${(100 * f1).toFixed(2)}`;

function measure(what: string, people: readonly EmbeddedPerson[]): void {
  const faces = people.flatMap(({ embeddings }) => embeddings);
  const names = people.flatMap(({ name, embeddings }) => embeddings.map(() => name));
  console.log(`\n${what}: ${faces.length} photographs of ${people.length} people`);
  for (const { far, threshold } of POINTS) {
    const start = performance.now();
    const clusters = clusterByAverage(faces, threshold);
    const seconds = (performance.now() - start) / 1000;
    const { pairwise, bCubed } = measureClusters(clusters, names);
    console.log(
      `FAR ${far}, threshold ${threshold.toFixed(3)}: ${clusters.length} clusters in ${seconds.toFixed(1)} s`,
    );
    console.log(`  pairwise ${shown(pairwise)}\n  B-cubed  ${shown(bCubed)}`);
  }
}

const people = await embeddedPeople(flags.cache);
measure(
  "people with two or more photographs",
  people.filter(({ embeddings }) => embeddings.length > 1),
);
measure("all people", people);
console.log(`\nmost memory of the process: ${memoryMegabytes(process.pid, "VmHWM").toFixed(0)} MB`);
