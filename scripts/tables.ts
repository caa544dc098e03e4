/**
 * @file `npm run tables` fills the tables of README and docs/ from what the benchmarks printed (bench/results) and from the
 * schema of the settings. A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { flagOf } from "../src/cli/options.ts";
import { trainSettings } from "../src/cli/settings.ts";

const ROOT = join(import.meta.dirname, "..");
const measuredFile = (name: string) => join(ROOT, "bench/results", name);

const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** Floats at the larger batch of `npm run bench -- peers > bench/results/peers.txt`. */
function peersTable(): string {
  const line =
    /^(\w+) +(training|inference) +32 *\| faceid[^|]*\| *([\d.]+).*\n +\| Keras [^|]*, float32 *\| *([\d.]+) +[\d.]+ +\d+ +([\d.]+)/gm;
  const text = readFileSync(measuredFile("peers.txt"), "utf8");
  const rows = [...text.matchAll(line)].map(([, network, work, ours, theirs, ratio]) => [
    `\`${network}\``,
    work!,
    ours!,
    theirs!,
    `**${ratio}**`,
  ]);
  return tableOf(
    ["network", "work, batches of 32", "faceid, pairs/s", "Keras on TensorFlow, pairs/s", "ratio"],
    rows,
  );
}

interface FoldsReport {
  readonly pairs: number;
  readonly accuracy: { readonly mean: number; readonly standardError: number };
  readonly auc: number;
  readonly eer: number;
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** `faceid evaluate … --pairs …/pairs.txt --folds 7,8 --json > bench/results/FILE` of each model. */
function accuracyTable(): string {
  const models = [
    ["`--teacher opencv-sface`, shipped as `models/default`", "student.json"],
    ["`--recipe best`", "lfw-best.json"],
    ["the original network (`--recipe original`)", "lfw-original.json"],
  ] as const;
  const rows = models.map(([model, file]) => {
    const { pairs, accuracy, auc, eer } = JSON.parse(readFileSync(measuredFile(file), "utf8")) as FoldsReport;
    const mean = `${percent(accuracy.mean)} ± ${percent(accuracy.standardError)}`;
    return [model, String(pairs), mean, auc.toFixed(4), percent(eer)];
  });
  return tableOf(
    ["model", "pairs of people never trained on", "accuracy", "ROC AUC", "equal error rate"],
    rows,
  );
}

/** `npm run bench -- processor-time > bench/results/processor-time.txt`, carried over to replicas as docs/scaling.md says. */
function replicasTable(): string {
  const [perSecond, coresEach, load] = [500, 2, 0.6];
  const text = readFileSync(measuredFile("processor-time.txt"), "utf8");
  const rows = ["two files", "two images as numbers", "two embeddings"].map((sent) => {
    const ms = Number(new RegExp(`^faceid +${sent} .*?([\\d.]+) ms`, "m").exec(text)?.[1]);
    const [cores, room] = [(perSecond * ms) / 1000, coresEach * load];
    const replicas = Math.ceil(cores / room) + 1;
    return [
      sent === "two embeddings" ? `${sent} kept from before` : sent,
      `${ms} ms`,
      cores.toFixed(1),
      `⌈${cores.toFixed(1)} ÷ ${room}⌉ + 1 = ${replicas}`,
    ];
  });
  return tableOf(
    ["sent as", "processor time", `cores busy at ${perSecond}/s`, "replicas of two cores"],
    rows,
  );
}

/** What a setting's schema says of it. */
interface Setting {
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
}

/** Every setting of `faceid train`, from its schema. */
function settingsTable(): string {
  const settings = z.toJSONSchema(trainSettings, { io: "input" }).properties as Record<string, Setting>;
  const rows = Object.entries(settings).map(([name, { description = "", default: value, enum: choices }]) => {
    const usual = Array.isArray(value) ? value.join("x") : String(value ?? "");
    const meaning =
      description.replaceAll("|", "\\|") + (choices === undefined ? "" : ` (${choices.join(", ")})`);
    return [`\`${name}\``, `\`${flagOf(name)}\``, usual === "" ? "" : `\`${usual}\``, meaning];
  });
  return tableOf(["setting", "flag", "default", "meaning"], rows);
}

/** What a command printed, or the lines of it that match a pattern. */
const printed = (name: string, part?: RegExp) => () => {
  const text = readFileSync(measuredFile(name), "utf8");
  const lines = part === undefined ? [text.trimEnd()] : text.split("\n").filter((line) => part.test(line));
  return ["```text", ...lines, "```"].join("\n");
};

const TABLES: Readonly<Record<string, () => string>> = {
  accuracy: accuracyTable,
  bestPrinted: printed("lfw-best.txt"),
  studentPrinted: printed("student.txt"),
  ingredientsPrinted: printed("ablation-training.txt"),
  originalPrinted: printed("lfw-original.txt"),
  partsPrinted: printed("ablation-parts.txt"),
  peers: peersTable,
  replicas: replicasTable,
  settings: settingsTable,
  exportPrinted: printed("bench.txt", / first .* median of /),
  loadingPrinted: printed("bench.txt", /^SavedModel with /),
  peersPrinted: printed("peers.txt"),
  peersIntelPrinted: printed("peers-intel.txt"),
  pipelinePrinted: printed("pipeline.txt"),
  processorTimePrinted: printed("processor-time.txt"),
  quantizePrinted: printed("quantize.txt"),
  servingPrinted: printed("serving.txt"),
  sharesPrinted: printed("bench.txt", /^share of|^ {2}\w+ +[\d.]+ %$/),
  stepPrinted: printed("bench.txt", /pairs\/s/),
};

const MARKED = /(<!-- table: (\w+) -->\n)[\s\S]*?(<!-- end of table -->)/g;

/** The document with its tables as the measured files have them. */
export function filled(markdown: string): string {
  return markdown.replace(MARKED, (_, begin: string, name: string, end: string) => {
    const table = TABLES[name];
    if (table === undefined)
      throw new Error(`there is no table called ${name}: ${Object.keys(TABLES).join(", ")}`);
    return `${begin}\n${table()}\n\n${end}`;
  });
}

/** Documents that may hold tables: README and every page below docs/. */
export function documents(): string[] {
  const pages = ["docs", "docs/notes"].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => join(ROOT, folder, name)),
  );
  return [join(ROOT, "README.md"), ...pages.filter((path) => path.endsWith(".md"))];
}

if (process.argv[1] === import.meta.filename) {
  for (const path of documents()) {
    const before = readFileSync(path, "utf8");
    const after = filled(before);
    if (after !== before) writeFileSync(path, after);
  }
}
