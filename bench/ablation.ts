/**
 * @file What the parts of a two-stage run give: cosine of embeddings of single towers and joined, with and without the
 * mirror image, the fitted metric, and the head. `node --import tsx bench/ablation.ts RUN PAIRS FOLDS`
 */
import { join } from "node:path";
import type { Verifier } from "../src/model/verifier.ts";
import { type Checkpoint, readCheckpoint } from "../src/train/checkpoint.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "../src/train/listeners/checkpoints.ts";
import { joinedTowers, viewFolder } from "../src/workflow/finish.ts";
import { measureFolds } from "../src/workflow/measure.ts";
import { checkpointVerifier } from "../src/workflow/verifier.ts";

/** A verifier that answers with the cosine, from −1 to 1 moved to 0 to 1. */
function byCosine(verifier: Verifier): Verifier {
  const size = verifier.embeddingSize;
  return {
    image: verifier.image,
    embeddingSize: size,
    lanes: verifier.lanes,
    embed: (images, count) => verifier.embed(images, count),
    async compare(a, b, count) {
      return Float32Array.from({ length: count }, (_, pair) => {
        let [ab, aa, bb] = [0, 0, 0];
        for (let i = pair * size; i < (pair + 1) * size; i++) {
          ab += a[i]! * b[i]!;
          aa += a[i]! ** 2;
          bb += b[i]! ** 2;
        }
        return (1 + ab / Math.sqrt(aa * bb)) / 2;
      });
    },
    [Symbol.asyncDispose]: () => verifier[Symbol.asyncDispose](),
  };
}

const [run, pairs, folds] = process.argv.slice(2);
if (run === undefined || pairs === undefined || folds === undefined) {
  throw new Error("usage: ablation.ts RUN PAIRS FOLDS, for instance runs/lfw-best pairs.txt 7,8");
}
const best = await readCheckpoint(join(run, BEST_CHECKPOINT));
const chosen = folds.split(",").map(Number);
const { views } = best.config;
const towers = await Promise.all(
  views.map((_, view) => readCheckpoint(join(viewFolder(run, view), LAST_CHECKPOINT))),
);

async function line(name: string, checkpoint: Checkpoint, cosine = true): Promise<void> {
  const verifier = await checkpointVerifier(checkpoint);
  await using judged = cosine ? byCosine(verifier) : verifier;
  const { accuracy, auc, eer } = await measureFolds(judged, pairs!, { config: best.config, chosen });
  const percent = (value: number) => (value * 100).toFixed(2).padStart(6);
  console.log(`${name.padEnd(44)} ${percent(accuracy.mean)} %  AUC ${auc.toFixed(4)}  EER ${percent(eer)} %`);
}

const variant = (kept: readonly number[], mirror: boolean): Checkpoint => {
  const config = { ...best.config, views: kept.map((view) => views[view]!), mirror, metric: 0 };
  return {
    ...best,
    config,
    state: joinedTowers(
      config,
      kept.map((view) => towers[view]!),
    ),
  };
};
const all = [...views.keys()];
for (const view of all) {
  await line(`view ${views[view]}, cosine`, variant([view], false));
  await line(`view ${views[view]}, cosine with mirror image`, variant([view], true));
}
await line("all views, cosine with mirror image", variant(all, true));
await line("all views, mirror image, metric, cosine", best);
await line("the same, head", best, false);
