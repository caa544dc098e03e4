/** @file A report with everything in it, made from drawn faces and scores out of a formula. */
import { Random } from "../../src/base/random.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { type ImageRef, readPixels } from "../../src/data/identity.ts";
import { measure } from "../../src/evaluate/metrics.ts";
import type { PicturedMistake, ReportContent } from "../../src/evaluate/report.ts";
import type { ScoredPairs } from "../../src/evaluate/scores.ts";
import { calibrate } from "../../src/evaluate/thresholds.ts";
import { encodeJpeg } from "../../src/image/decode.ts";
import { imageSettings } from "../../src/image/settings.ts";
import { describe } from "../../src/model/description.ts";
import { trainConfigSchema } from "../../src/train/config.ts";

const IMAGE = imageSettings(112);
const PAIRS = 4000;
const EPOCHS = 30;

/** Probabilities that overlap as those of a fair verifier do. */
function someScores(seed: number): ScoredPairs {
  const random = new Random(seed);
  const same = Uint8Array.from({ length: PAIRS }, (_, i) => i % 2);
  const scores = Float64Array.from(
    same,
    (label) => 1 / (1 + Math.exp(-(random.normal() * 1.6 + (label === 1 ? 2.4 : -2.4)))),
  );
  return { same, scores };
}

async function mistakes(): Promise<PicturedMistake[]> {
  const { identities } = await openDataset({ dataset: "synthetic", idTo: 7, imagesPerId: 2 });
  const jpeg = async (image: ImageRef) =>
    encodeJpeg(await readPixels(image, IMAGE), IMAGE.width, IMAGE.height);
  return await Promise.all(
    identities.map(async ({ images }, i) => {
      const same = i % 2 === 0;
      const other = same ? images[1]! : identities[(i + 1) % identities.length]!.images[0]!;
      return {
        score: same ? 0.03 + i / 100 : 0.97 - i / 100,
        same,
        left: await jpeg(images[0]!),
        right: await jpeg(other),
        captions: [`staff/A person with a long name/photograph-${i}-first.jpeg`, `staff/${i}/second.jpeg`],
      };
    }),
  );
}

/** All sections, with figures of common size. */
export async function fullReport(): Promise<ReportContent> {
  const scored = someScores(2);
  const calibration = calibrate(someScores(1), { dataset: "folder staff", people: "120 validation people" });
  const config = trainConfigSchema.parse({
    datasetPath: "/srv/photographs/of/all/our/staff",
    epochs: EPOCHS,
  });
  return {
    title: "Verifier of staff photographs",
    made: "faceid, for a test",
    model: describe({ network: "faceid", input: IMAGE }),
    settings: Object.fromEntries(Object.entries(config).map(([name, value]) => [name, String(value)])),
    epochs: Array.from({ length: EPOCHS }, (_, i) => ({
      loss: 0.7 * Math.exp(-i / 8),
      accuracy: 1 - 0.5 * Math.exp(-i / 6),
      validationLoss: 0.15 + 0.55 * Math.exp(-i / 6),
      validationAccuracy: 0.93 - 0.42 * Math.exp(-i / 5),
    })),
    evaluation: { report: measure(scored, { calibration, seed: 1 }), scored, calibration, seed: 1 },
    mistakes: await mistakes(),
  };
}
