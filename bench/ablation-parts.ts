/**
 * @file Ablation of an ensemble: its backbones finished without one part at a time.
 * `node --import tsx bench/ablation-parts.ts RUN PAIRS FOLDS`
 */
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../src/base/log.ts";
import { Loader } from "../src/data/loader.ts";
import { measureFolds } from "../src/jobs/evaluate.ts";
import { PROJECTION } from "../src/model/backbone.ts";
import { HEAD_WEIGHTS } from "../src/model/siamese.ts";
import type { Embedder, Verifier } from "../src/model/verifier.ts";
import { type Checkpoint, readCheckpoint } from "../src/train/checkpoint.ts";
import { settingsOf } from "../src/train/config.ts";
import { finishRun, memberFolder } from "../src/train/finish.ts";
import { networkEmbedder, networkVerifier } from "../src/train/inference.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "../src/train/listeners.ts";
import { openPeople } from "../src/train/people.ts";

/** Compares embeddings by their cosine, from −1 to 1 moved to 0 to 1. */
function byCosine(verifier: Embedder): Verifier {
  const size = verifier.embeddingSize;
  return {
    image: verifier.image,
    embeddingSize: size,
    concurrency: verifier.concurrency,
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
  throw new Error("usage: ablation-parts.ts RUN PAIRS FOLDS, for instance runs/lfw-best pairs.txt 7,8");
}
const chosen = folds.split(",").map(Number);
const whole = await readCheckpoint(join(run, BEST_CHECKPOINT));
const { crops, gaborCrops } = whole.config;
const people = await openPeople(whole.config, silentLog);
await using loader = new Loader({ settings: settingsOf(whole.config), log: silentLog });

/** What is fitted to the joined embedding. */
const isFitted = (name: string) => name.startsWith(`${PROJECTION}/`) || HEAD_WEIGHTS.test(name);

/** The run finished with other parts. @param kept numbers of the backbones. */
async function finished(
  kept: readonly number[],
  changes: Partial<Checkpoint["config"]>,
): Promise<Checkpoint> {
  const folder = await mkdtemp(join(tmpdir(), "faceid-ablation-"));
  try {
    for (const [to, from] of kept.entries()) {
      await mkdir(memberFolder(folder, to), { recursive: true });
      const backbone = join(memberFolder(run!, from), LAST_CHECKPOINT);
      await copyFile(backbone, join(memberFolder(folder, to), LAST_CHECKPOINT));
    }
    const config = { ...whole.config, ...changes, crops: kept.map((index) => crops[index]!) };
    await finishRun(folder, config, people, loader, silentLog);
    return await readCheckpoint(join(folder, BEST_CHECKPOINT));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function line(name: string, checkpoint: Checkpoint, cosine = false): Promise<void> {
  const { config, state } = checkpoint;
  await using judged = cosine
    ? byCosine(await networkEmbedder(config, state))
    : await networkVerifier(config, state);
  const { accuracy, auc, eer } = await measureFolds(judged, pairs!, { config: whole.config, folds: chosen });
  const percent = (value: number) => (value * 100).toFixed(2).padStart(6);
  console.log(`${name.padEnd(36)} ${percent(accuracy.mean)} %  AUC ${auc.toFixed(4)}  EER ${percent(eer)} %`);
}

const all = [...crops.keys()];
await line("everything", whole);
await line("without the head (cosine instead)", whole, true);
const unmapped = new Map([...whole.state].filter(([name]) => !isFitted(name)));
await line(
  "without the projection (cosine instead)",
  { ...whole, config: { ...whole.config, projectionDim: 0 }, state: unmapped },
  true,
);
await line("without the mirror image", await finished(all, { mirror: false }));
for (const crop of gaborCrops) {
  const others = gaborCrops.filter((other) => other !== crop);
  await line(`without the Gabor crop of ${crop}`, await finished(all, { gaborCrops: others }));
}
if (gaborCrops.length > 1) await line("without Gabor features", await finished(all, { gaborCrops: [] }));
for (const index of all.filter(() => crops.length > 1)) {
  const others = all.filter((other) => other !== index);
  await line(`without the crop of ${crops[index]}`, await finished(others, {}));
}
if (gaborCrops.length > 0 && crops.length > 1) {
  await line(`the crop of ${crops[0]} alone`, await finished([0], { gaborCrops: [] }));
}
