/** @file docs/formats.md says just what is written: files, signatures, operators. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { calibrationSchema } from "../src/artifact/calibration.ts";
import { Random } from "../src/base/random.ts";
import { exportModel, signaturesOf } from "../src/jobs/export.ts";
import { NETWORKS } from "../src/model/networks.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { readSavedModel } from "../src/savedmodel/read/read.ts";
import { buildSavedModel } from "../src/savedmodel/write/write.ts";
import { START, writeCheckpoint } from "../src/train/checkpoint.ts";
import { trainConfigSchema } from "../src/train/config.ts";
import { temporaryFolder } from "./support/photos.ts";

const document = readFileSync(join(import.meta.dirname, "../docs/formats.md"), "utf8");
const written = document.slice(document.indexOf("## What we write"), document.indexOf("### Proof"));

/** Rows of the table that begins with these headings. */
function table(...headings: string[]): string[][] {
  const start = written.indexOf(`| ${headings.join(" | ")} |`);
  expect(start, headings.join(", ")).toBeGreaterThan(0);
  const [block = ""] = written.slice(start).split("\n\n");
  const rows = block.trim().split("\n").slice(2);
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const SIDE = 112;

describe("docs/formats.md on what is written", () => {
  let folder: string;

  beforeAll(async () => {
    const work = await temporaryFolder();
    const model = { network: "faceid", input: { height: SIDE, width: SIDE } };
    const { net } = siamese(model, { mode: "training", batch: 1 });
    const state = initialWeights(net.weights, new Random(1));
    const config = { ...trainConfigSchema.parse({ dataset: "synthetic" }), replicas: 1 };
    const checkpoint = join(work, "last.safetensors");
    await writeCheckpoint(checkpoint, { config, progress: START, state });
    folder = await exportModel({
      checkpoint,
      savedModelPath: join(work, "models"),
      modelName: "faceid",
      modelVersion: 1,
    });
  });

  it("lists the files of a version", () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
    const listed = table("file", "what it is").map(([file = ""]) => file.replaceAll("`", ""));
    expect(files.sort()).toEqual(listed.sort());
  });

  it("lists what a calibration record holds", () => {
    const listed = table("field", "what it says").map(([field = ""]) => field.replaceAll("`", ""));
    expect(listed).toEqual(Object.keys(calibrationSchema("probability").shape));
  });

  it("lists the signatures", async () => {
    const { signatures } = await readSavedModel(folder);
    const rows = [...signatures].flatMap(([name, { inputs, outputs }]) =>
      [["in", inputs] as const, ["out", outputs] as const].flatMap(([kind, ports]) =>
        [...ports].map(([alias, { dtype, shape }]) => [
          `\`${name}\``,
          `${kind} \`${alias}\``,
          dtype,
          `[${shape!.join(", ")}]`,
        ]),
      ),
    );
    expect(rows.sort()).toEqual(table("signature", "input or output", "type", "shape").sort());
  });

  it("lists the operators", () => {
    const [graph, loop] = [new Set<string>(), new Set<string>()];
    for (const { name } of NETWORKS) {
      for (const crop of [1, 0.8]) {
        const config = { network: name, input: { height: SIDE, width: SIDE }, crop };
        const { net } = siamese(config, { mode: "inference", batch: 1 });
        const model = buildSavedModel({
          signatures: signaturesOf(config),
          parameters: initialWeights(net.weights, new Random(1)),
        });
        const { node, library } = model.metaGraphs[0]!.graphDef!;
        for (const { op } of node) graph.add(op);
        for (const { op } of library!.function.flatMap(({ nodeDef }) => nodeDef)) loop.add(op);
      }
    }
    const lists = [...written.matchAll(/^- ([A-Z]\w+, [\s\S]*?)(?=\n- |\n\n)/gm)];
    const listed = lists.map(([, list]) => list!.split(",").map((op) => op.trim()));
    expect(listed).toEqual([[...graph].sort(), [...loop].sort()]);
  });
});
