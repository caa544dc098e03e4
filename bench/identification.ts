/**
 * @file Identification on an open set of LFW: DIR and FPIR by the nearest photograph and by the centroid, as
 * `faceid evaluate --identification` measures them.
 * `npm run bench -- identification [--cache FOLDER] [--splits N] [--template centroid]`, after `npm run bench -- pack-calibration`, whose embeddings it reads.
 */
import { parseArgs } from "node:util";
import { TEMPLATES } from "../src/evaluate/identification.ts";
import { measureOpenSet } from "../src/evaluate/open-set.ts";
import { openSetText } from "../src/evaluate/open-set-text.ts";
import { compareCosines } from "../src/jobs/identification.ts";
import { embeddedPeople } from "./embedded-people.ts";

const { values: flags } = parseArgs({
  options: {
    cache: { type: "string", default: "runs/pack-calibration" },
    splits: { type: "string", default: "5" },
    template: { type: "string" },
  },
});

const people = await embeddedPeople(flags.cache);
for (const template of TEMPLATES.filter((each) => each === (flags.template ?? each))) {
  const start = performance.now();
  const report = await measureOpenSet(people, {
    template,
    splits: Number(flags.splits),
    compare: compareCosines,
  });
  console.log(openSetText({ dataset: "lfw", ...report }));
  const searches = report.splits * (report.mated + report.strangers);
  const each = (performance.now() - start) / searches;
  console.log(`  one search by comparing with all: ${each.toFixed(2)} ms, intervals included\n`);
}
