/** @file A recurrent layer that Keras exported, over REST: sequences of any length, and those that have no answer. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { readCases } from "../../../test/support/recorded-cases.ts";
import { floats } from "../../base/tensor.ts";
import { type GraphDef, SavedModelSchema } from "../../proto/tensorflow/graph_pb.ts";
import { loadSavedModel } from "./savedmodel-servable.ts";
import type { Servable } from "./servable.ts";

const GOLDEN = join(import.meta.dirname, "../../../test/golden/tensorflow/lstm");

const load = (folder: string): Promise<Servable> =>
  loadSavedModel(folder, { name: "m", version: 1n }, { sessions: 1, tags: ["serve"] }, undefined);

/** A copy of the model with a change of its graph. */
async function edited(edit: (graph: GraphDef) => void): Promise<string> {
  const folder = join(await temporaryFolder(), "1");
  await cp(join(GOLDEN, "1"), folder, { recursive: true });
  const path = join(folder, "saved_model.pb");
  const model = fromBinary(SavedModelSchema, await readFile(path));
  edit(model.metaGraphs[0]!.graphDef!);
  await writeFile(path, toBinary(SavedModelSchema, model));
  return folder;
}

const nodesOf = (graph: GraphDef, part: string) =>
  graph.library!.function.find(({ signature }) => signature!.name.includes(part))!.nodeDef;

it("answers sequences of any length with TensorFlow's numbers", async () => {
  const servable = await load(join(GOLDEN, "1"));
  try {
    for (const { inputs, outputs } of readCases(GOLDEN)) {
      const got = await servable.run("serving_default", inputs, ["output_0"]);
      const wanted = outputs.get("output_0")!;
      expect(got.get("output_0")!.shape).toEqual(wanted.shape);
      expect([...floats(got.get("output_0")!)]).toBeAllClose([...floats(wanted)], { absolute: 1e-6 });
    }
    const x = { dtype: "float32" as const, shape: [2, 0, 5], data: new Float32Array(0) };
    const refused = servable.run("serving_default", new Map([["x", x]]), ["output_0"]);
    await expect(refused).rejects.toThrow("The model cannot run on these inputs");
  } finally {
    await servable.close();
  }
});

it("refuses a loop whose lists are filled without counting", async () => {
  const folder = await edited((graph) => {
    // The counters stand still.
    for (const node of nodesOf(graph, "while_body")) {
      if (node.op === "AddV2" && /\/add(_1)?$/.test(node.name) && !node.name.includes("cell"))
        node.op = "Maximum";
      if (/\/add(_1)?\/y$/.test(node.name)) {
        const value = node.attr.value!.value;
        if (value.case === "tensor") value.value.intVal = [0];
      }
    }
  });
  await expect(load(folder)).rejects.toThrow(
    "a list in a loop that does not count its rounds is not supported",
  );
});

it.each([
  ["body", "Tanh", "StringJoin"],
  ["cond", "Less", "IsFinite"],
])("names an operator in a loop's %s that cannot be run", async (part, from, to) => {
  const folder = await edited((graph) => {
    nodesOf(graph, `while_${part}`).find(({ op }) => op === from)!.op = to;
  });
  await expect(load(folder)).rejects.toThrow(new RegExp(`${to} \\(StatefulPartitionedCall.*while/${part}/`));
});
