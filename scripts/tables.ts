/**
 * @file `npm run tables`: fills the tables of README and docs/ from the files in bench/results, which are what the
 * commands printed. A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const measuredFile = (name: string) => join(ROOT, "bench/results", name);

const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const WORK: Readonly<Record<string, string>> = {
  training: "training step",
  inference: "inference",
  int8: "inference in 8-bit integers (theirs: floats)",
};

/** `npm run bench -- peers > bench/results/peers.txt` */
function peersTable(): string {
  const line =
    /^(\w+) +(\w+) +(\d+) *\| *([\d.]+) +[\d.]+ +(\d+) *\| *([\d.]+) +[\d.]+ +(\d+) *\| *([\d.]+) +([\d.]+)$/;
  const rows = readFileSync(measuredFile("peers.txt"), "utf8")
    .split("\n")
    .flatMap((text) => {
      const [, network, work, batch, ours, ourMegabytes, theirs, theirMegabytes, ratio, cpu] =
        line.exec(text) ?? [];
      if (network === undefined) return [];
      const memory = `${ourMegabytes} / ${theirMegabytes}`;
      return [[`\`${network}\``, WORK[work!]!, batch!, ours!, theirs!, `**${ratio}**`, cpu!, memory]];
    });
  return tableOf(
    [
      "network",
      "work",
      "batch",
      "faceid, pairs/s",
      "Keras on TensorFlow, pairs/s",
      "ratio",
      "ratio of processor time",
      "peak memory, MB",
    ],
    rows,
  );
}

/** The first table of `npm run bench -- serving > bench/results/serving.txt`, at the greatest number of clients. */
function servingTable(): string {
  const rows = readFileSync(measuredFile("serving.txt"), "utf8")
    .split("\n\nopen loop")[0]!
    .split("\n")
    .filter((text) => text.startsWith("| ") && !text.startsWith("| way"))
    .map((text) =>
      text
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const most = Math.max(...rows.map((cells) => Number(cells[1])));
  return tableOf(
    ["way", "clients", "pairs/s", "of the engine", "p50 ms", "p99 ms"],
    rows
      .filter((cells) => Number(cells[1]) === most)
      .map(([way, clients, pairs, share, p50, , p99]) => [way!, clients!, pairs!, share!, p50!, p99!]),
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
    ["`models/lfw-best/1` (`--recipe best`)", "lfw-best.json"],
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

/** What a command printed, as it stands; of a part, the lines that the pattern finds. */
const printed = (name: string, part?: RegExp) => () => {
  const text = readFileSync(measuredFile(name), "utf8");
  const lines = part === undefined ? [text.trimEnd()] : text.split("\n").filter((line) => part.test(line));
  return ["```text", ...lines, "```"].join("\n");
};

const TABLES: Readonly<Record<string, () => string>> = {
  accuracy: accuracyTable,
  bestPrinted: printed("lfw-best.txt"),
  ingredientsPrinted: printed("ablation-training.txt"),
  originalPrinted: printed("lfw-original.txt"),
  partsPrinted: printed("ablation-parts.txt"),
  peers: peersTable,
  replicas: replicasTable,
  serving: servingTable,
  exportPrinted: printed("bench.txt", / first .* median of /),
  loadingPrinted: printed("bench.txt", /^SavedModel with /),
  peersPrinted: printed("peers.txt"),
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

/** Documents that may hold tables. */
export function documents(): string[] {
  const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  return [join(ROOT, "README.md"), ...pages.map((name) => join(ROOT, "docs", name))].filter((path) =>
    existsSync(path),
  );
}

if (process.argv[1] === import.meta.filename) {
  for (const path of documents()) {
    const before = readFileSync(path, "utf8");
    const after = filled(before);
    if (after !== before) writeFileSync(path, after);
  }
}
