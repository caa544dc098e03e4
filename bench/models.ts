/**
 * @file Models beside each other: time of an embedding on one thread, and true accept rates on people whom none has seen.
 * `npm run bench -- models [--lfw FOLDER] [--folds 7,8] [--negatives N] [--only time|rates] MODEL…`
 *
 * A model is a pack's name, such as `opencv-sface-int8`, or the folder of an exported version, which brings its own framing.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { silentLog } from "../src/base/log.ts";
import { Random } from "../src/base/random.ts";
import { imageName } from "../src/data/identity.ts";
import { Loader } from "../src/data/loader.ts";
import { chosenFolds, readPairs } from "../src/data/pairs-file.ts";
import { peopleIn } from "../src/data/protocol.ts";
import { percentileInterval } from "../src/evaluate/intervals.ts";
import { scorePairs } from "../src/evaluate/score-pairs.ts";
import { packModelNamed } from "../src/faces/packs/catalogue.ts";
import type { AnyVerifier } from "../src/model/verifier.ts";
import { allPairs } from "../src/train/adapt.ts";
import { settingsOf, trainConfigSchema } from "../src/train/config.ts";
import { openImages } from "../src/train/people.ts";
import { framingOf } from "../src/verify/face-comparer.ts";
import { type OpenedModel, openModel } from "../src/verify/open-model.ts";
import { openPackModel } from "../src/verify/pack-verifier.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lfw: { type: "string", default: "../shared/datasets/lfw" },
    folds: { type: "string", default: "7,8" },
    negatives: { type: "string", default: "500000" },
    only: { type: "string" },
  },
});
const FARS = [1e-2, 1e-3];
/** A model without embeddings sees both photographs of every pair. */
const MOST_WITHOUT_EMBEDDINGS = 20_000;
const RESAMPLES = 1000;
const RUNS = 200;
const WARM_UP = 20;

/** Milliseconds of one embedding in batches of one, by one session of one thread: the least, which other programs change little, and the median. */
async function timed(verifier: AnyVerifier): Promise<{ least: number; median: number }> {
  const { height, width } = verifier.image;
  const random = new Random(1);
  const image = () => Float32Array.from({ length: height * width * 3 }, () => random.uniform());
  const [one, other] = [image(), image()];
  const images = "score" in verifier ? 2 : 1;
  const times: number[] = [];
  for (let run = -WARM_UP; run < RUNS; run++) {
    const started = performance.now();
    await ("score" in verifier ? verifier.score(one, other, 1) : verifier.embed(one, 1));
    if (run >= 0) times.push((performance.now() - started) / images);
  }
  times.sort((a, b) => a - b);
  return { least: times[0]!, median: times[Math.floor(times.length / 2)]! };
}

/** True accept rates on pairs of the folds' people, with intervals from resamples of the people. */
async function rates(opened: OpenedModel): Promise<string[]> {
  const config = trainConfigSchema.parse({
    ...{ dataset: "lfw", datasetPath: flags.lfw, faces: "align" },
    imageShape: [opened.verifier.image.height, opened.verifier.image.width],
  });
  const framing = framingOf(opened.path, opened);
  const { identities } = await openImages(config, silentLog, { framing });
  const file = chosenFolds(await readPairs(join(flags.lfw, "pairs.txt")), flags.folds.split(",").map(Number));
  const { names } = peopleIn(file, identities, flags.lfw);
  const people = identities.filter(({ name }) => names.has(name));
  const count = "score" in opened.verifier ? MOST_WITHOUT_EMBEDDINGS : Number(flags.negatives);
  const pairs = allPairs(people, count, new Random(1));
  await using loader = new Loader({ settings: settingsOf(config), log: silentLog });
  const { scores, unreadable } = await scorePairs(opened.verifier, loader, pairs);
  // Photographs without a face count as different people.
  for (const pair of unreadable) scores[pair] = Number.NEGATIVE_INFINITY;
  const person = new Map(people.flatMap(({ images }, i) => images.map((image) => [imageName(image), i])));
  const negatives = scores.filter((_, i) => !pairs[i]!.same).sort();
  return FARS.map((far) => {
    const allowed = Math.floor(far * negatives.length);
    const threshold = negatives[negatives.length - allowed - 1]!;
    const counts = people.map(() => ({ accepted: 0, all: 0 }));
    for (const [i, { left, same }] of pairs.entries()) {
      if (!same) continue;
      const own = counts[person.get(imageName(left))!]!;
      own.all++;
      if (scores[i]! > threshold) own.accepted++;
    }
    const paired = counts.filter(({ all }) => all > 0);
    const rateOf = (list: typeof paired) =>
      list.reduce((sum, { accepted }) => sum + accepted, 0) / list.reduce((sum, { all }) => sum + all, 0);
    const random = new Random(2);
    const resamples = Array.from({ length: RESAMPLES }, () =>
      rateOf(paired.map(() => paired[random.integer(paired.length)]!)),
    );
    const percent = (rate: number) => (100 * rate).toFixed(2);
    const [low, high] = percentileInterval(resamples);
    const positives = pairs.length - negatives.length;
    return `TAR ${percent(rateOf(paired))} % (${percent(low)} to ${percent(high)}) at FAR ${far}, ${positives} pairs of ${paired.length} people, ${negatives.length} of two`;
  });
}

for (const model of positionals) {
  const isPack = packModelNamed(model) !== undefined;
  const opened = isPack ? await openPackModel(model, { sessions: 1 }) : await openModel(model);
  await using verifier = opened.verifier;
  if (flags.only !== "rates") {
    const { least, median } = await timed(verifier);
    console.log(
      `${model}: ${least.toFixed(2)} ms an embedding on one thread, the least of ${RUNS}; median ${median.toFixed(2)}`,
    );
  }
  if (flags.only !== "time") for (const line of await rates(opened)) console.log(`${model}: ${line}`);
}
