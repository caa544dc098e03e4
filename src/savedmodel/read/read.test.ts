/** @file Models as TensorFlow wrote them, variables beside them: read to its numbers, and refused when a part is damaged. */
import { cp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { expectAlike, readCases } from "../../../test/support/recorded-cases.ts";
import { writeBundle } from "../../../test/support/write-bundle.ts";
import {
  AssetFileDefSchema,
  type GraphDef,
  type MetaGraphDef,
  SavedModelSchema,
} from "../../proto/tensorflow/graph_pb.ts";
import { Bundle } from "../format/bundle.ts";
import { shapeProto } from "../write/graph-writer.ts";
import { sliceOf } from "./import-graph.ts";
import { parseSavedModel, readSavedModel } from "./read.ts";

const GOLDEN = join(import.meta.dirname, "../../../test/golden/tensorflow");
const MODELS = [
  ...["graph_variables", "nested_functions", "two_shards", "tiny_exported", "tiny_saved"],
  ...["file_tables", "string_lookup", "string_lookup_known", "lstm", "branches"],
];
const SHARD = "variables/variables.data-00000-of-00001";

/** A copy of a version's folder, to be damaged. */
async function copyOf(name: string): Promise<string> {
  const folder = join(await temporaryFolder(), "1");
  await cp(join(GOLDEN, name, "1"), folder, { recursive: true });
  return folder;
}

async function change(folder: string, edit: (meta: MetaGraphDef, graph: GraphDef) => void): Promise<void> {
  const path = join(folder, "saved_model.pb");
  const model = fromBinary(SavedModelSchema, await readFile(path));
  edit(model.metaGraphs[0]!, model.metaGraphs[0]!.graphDef!);
  await writeFile(path, toBinary(SavedModelSchema, model));
}

const programOf = async (folder: string) => (await readSavedModel(folder)).program("serving_default");

describe("a model that TensorFlow wrote", () => {
  it.each(MODELS)("%s gives TensorFlow's numbers", async (name) => {
    const model = await readSavedModel(join(GOLDEN, name, "1"));
    for (const { signature, inputs, outputs } of readCases(join(GOLDEN, name))) {
      const program = await model.program(signature);
      for (const [alias, wanted] of outputs) {
        const [got] = evaluate([program.outputs[alias]!], { inputs });
        expectAlike(got, wanted, `${name}/${alias}`);
      }
    }
  });

  it("finds its variables' values without an object graph, by what restores them", async () => {
    const folder = await copyOf("tiny_exported");
    await change(folder, (meta) => {
      delete meta.objectGraphDef;
    });
    const [recorded] = readCases(join(GOLDEN, "tiny_exported"));
    const [got] = evaluate(Object.values((await programOf(folder)).outputs), { inputs: recorded!.inputs });
    expectAlike(got, recorded!.outputs.get("output_0")!, "output_0");
  });

  it("reads only the variables that a signature needs, each once", async () => {
    const model = await readSavedModel(join(GOLDEN, "tiny_saved/1"));
    const { variables } = sliceOf(model.graph, model.signatures.get("serving_default")!);
    const values = await model.variables.read(variables);
    // Kernel, bias, four of the normalisation, depthwise kernel and bias, dense kernel and bias; no optimizer's.
    expect(values.size).toBe(10);
    const again = await model.variables.read(variables);
    for (const [place, value] of again) expect(value).toBe(values.get(place));
  });
});

describe("a damaged model", () => {
  const damages: Record<
    string,
    { name?: string; damage: (folder: string) => Promise<void>; says: string; code?: string }
  > = {
    "with a table's file missing": {
      name: "file_tables",
      damage: (folder) => rm(join(folder, "assets/pairs.txt")),
      says: "pairs.txt",
    },
    "with a line that lacks a column": {
      name: "file_tables",
      damage: (folder) => writeFile(join(folder, "assets/pairs.txt"), "a 4\nb\n"),
      says: "line 2 of its file has no column 1",
    },
    "with a line that has no number": {
      name: "file_tables",
      damage: (folder) => writeFile(join(folder, "assets/pairs.txt"), "a 4\nb 9223372036854775808\n"),
      says: '"9223372036854775808" is no int64',
    },
    "with a key of two values": {
      name: "file_tables",
      damage: (folder) => writeFile(join(folder, "assets/pairs.txt"), "a 4\na 5\n"),
      says: "the key a has several values",
    },
    "with a table of too many lines": {
      name: "file_tables",
      damage: (folder) => writeFile(join(folder, "assets/pairs.txt"), Buffer.alloc(2 ** 21 + 1, "\n")),
      code: "MODEL_UNSUPPORTED",
      says: "a file of more than 2097152 lines is not supported",
    },
    "with a table that nothing fills": {
      name: "string_lookup",
      damage: (folder) =>
        change(folder, (meta) => {
          delete meta.signatureDef.__saved_model_init_op;
          delete meta.collectionDef.saved_model_main_op;
        }),
      says: "nothing fills it when the model is loaded",
    },
    "without its variables": {
      damage: (folder) => rm(join(folder, "variables"), { recursive: true }),
      says: "but no variables/variables.index",
    },
    "with a shard cut off": { damage: (folder) => truncate(join(folder, SHARD), 100), says: "is cut off" },
    "with a shard missing": {
      name: "two_shards",
      damage: (folder) => rm(join(folder, "variables/variables.data-00001-of-00002")),
      says: "cannot read",
    },
    "with a flipped bit in a weight": {
      damage: async (folder) => {
        const bytes = await readFile(join(folder, SHARD));
        bytes[20]! ^= 1;
        await writeFile(join(folder, SHARD), bytes);
      },
      says: "its checksum is wrong",
    },
    "with an index cut off": {
      damage: (folder) => truncate(join(folder, "variables/variables.index"), 60),
      says: "is damaged",
    },
    "with a variable missing": {
      damage: async (folder) => {
        const prefix = join(folder, "variables/variables");
        const bundle = await Bundle.open(prefix);
        const isDense = (key: string) => bundle.entry(key).shape.join() === "36,2";
        const kept = [...bundle.keys].filter((key) => !isDense(key));
        await writeBundle(prefix, await bundle.read(kept));
      },
      says: "has no value in",
    },
    "with a variable of another shape": {
      damage: (folder) =>
        change(folder, (_, graph) => {
          for (const { op, attr } of graph.node) {
            const shape = attr.shape?.value;
            if (op === "VarHandleOp" && shape?.case === "shape") shape.value = shapeProto([77]);
          }
        }),
      says: "is declared as [77]",
    },
    "with an asset that climbs out": {
      damage: (folder) =>
        change(folder, (meta) => {
          meta.assetFileDef = [create(AssetFileDefSchema, { filename: "../../etc/passwd" })];
        }),
      says: "outside of its folder",
    },
    "in the form for models beyond 2 GB": {
      damage: (folder) => rename(join(folder, "saved_model.pb"), join(folder, "saved_model.cpb")),
      says: "this form of a SavedModel cannot be read",
      code: "MODEL_UNSUPPORTED",
    },
  };

  it.each(Object.entries(damages))(
    "%s is refused",
    async (_, { name = "tiny_exported", damage, says, code = "MODEL_INVALID" }) => {
      const folder = await copyOf(name);
      await damage(folder);
      await expect(programOf(folder)).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
    },
  );

  it("names every operation that cannot be run, and where it stands", async () => {
    const folder = await copyOf("tiny_exported");
    await change(folder, (_, graph) => {
      for (const node of graph.library!.function.flatMap((each) => each.nodeDef)) {
        if (node.op === "Conv2D" || node.op === "Relu") node.op = `Fancy${node.op}`;
      }
    });
    await expect(programOf(folder)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      message: expect.stringMatching(/FancyConv2D \(StatefulPartitionedCall_1\/.*\); FancyRelu \(/),
    });
  });

  it("cannot make memory run out by constants of one repeated value", async () => {
    const bytes = await readFile(join(GOLDEN, "graph_variables/1/saved_model.pb"));
    const model = fromBinary(SavedModelSchema, bytes);
    const add = model.metaGraphs[0]!.graphDef!.node.find(({ name }) => name === "y")!;
    const big = structuredClone(model.metaGraphs[0]!.graphDef!.node.find(({ op }) => op === "Const")!);
    const value = big.attr.value!.value;
    if (value.case === "tensor")
      value.value.tensorShape!.dim = [
        { $typeName: "tensorflow.TensorShapeProto.Dim", size: 2n ** 29n, name: "" },
      ];
    big.name = "big";
    model.metaGraphs[0]!.graphDef!.node.push(big);
    add.input[1] = "big";
    const read = parseSavedModel(toBinary(SavedModelSchema, model), join(GOLDEN, "graph_variables/1"));
    await expect(read.program("serving_default")).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      message: expect.stringContaining("made of few elements"),
    });
  });
});
