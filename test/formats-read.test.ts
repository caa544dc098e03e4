/** @file docs/formats.md lists just the operations that can be read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { importers } from "../src/savedmodel/read/from-tensorflow.ts";
import { CALL_OPS } from "../src/savedmodel/read/inlined-graph.ts";
import { VARIABLE_OPS } from "../src/savedmodel/read/variable-keys.ts";

const document = readFileSync(join(import.meta.dirname, "../docs/formats.md"), "utf8");
const read = document.slice(document.indexOf("## What we read"));

it("documents every operation that can be read and no other, each once", () => {
  const [, ...lines] = read.split("| kind | operations | notes |\n| --- | --- | --- |\n");
  const [table = ""] = (lines[0] ?? "").split("\n\n");
  const documented = table.split("\n").flatMap((row) => {
    const [, , operations = ""] = row.split("|");
    return [...operations.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  });
  const readable = [...Object.keys(importers), ...VARIABLE_OPS, ...CALL_OPS];
  expect(documented.toSorted()).toEqual(readable.toSorted());
});
