/** @file docs/formats.md lists just the operations that can be read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { onnxImporters } from "../src/onnx/read/from-onnx.ts";
import { importers } from "../src/savedmodel/read/from-tensorflow.ts";
import { BRANCH_OPS } from "../src/savedmodel/read/import-branch.ts";
import { LOOP_OPS } from "../src/savedmodel/read/import-loop.ts";
import { CALL_OPS } from "../src/savedmodel/read/inlined-graph.ts";
import { TABLE_OPS } from "../src/savedmodel/read/tables.ts";
import { VARIABLE_OPS } from "../src/savedmodel/read/variable-keys.ts";

const document = readFileSync(join(import.meta.dirname, "../docs/formats.md"), "utf8");

/** The operations in the table of a section. */
function documented(title: string): string[] {
  const section = document.slice(document.indexOf(`### ${title}`));
  const [, ...lines] = section.split("| kind | operations | notes |\n| --- | --- | --- |\n");
  const [table = ""] = (lines[0] ?? "").split("\n\n");
  return table.split("\n").flatMap((row) => {
    const [, , operations = ""] = row.split("|");
    return [...operations.matchAll(/`(\w+)`/g)].map(([, name]) => name!);
  });
}

it.each([
  [
    "SavedModels of others",
    [...Object.keys(importers), ...VARIABLE_OPS, ...TABLE_OPS, ...LOOP_OPS, ...BRANCH_OPS, ...CALL_OPS],
  ],
  ["ONNX files of others", Object.keys(onnxImporters)],
])("documents every operation of %s that can be read and no other, each once", (title, readable) => {
  expect(documented(title).toSorted()).toEqual(readable.toSorted());
});
