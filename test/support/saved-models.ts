/** @file Small genuine SavedModels, written node by node as TensorFlow writes them. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clone, create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { float32 } from "../../src/base/tensor.ts";
import {
  type AttrValueSchema,
  NodeDefSchema,
  SavedModelSchema,
  SignatureDefSchema,
} from "../../src/proto/tensorflow/graph_pb.ts";
import { DataType } from "../../src/proto/tensorflow/tensor_pb.ts";
import { writeBundle } from "./write-bundle.ts";

type NodeInit = MessageInitShape<typeof NodeDefSchema>;
type AttrInit = MessageInitShape<typeof AttrValueSchema>;

const type = (value: DataType): AttrInit => ({ value: { case: "type", value } });
const count = (value: number): AttrInit => ({ value: { case: "i", value: BigInt(value) } });
const shape = (...sides: number[]) => ({ dim: sides.map((size) => ({ size: BigInt(size) })) });
const FLOAT = type(DataType.DT_FLOAT);

function constant(name: string, values: readonly number[] | readonly string[], ...sides: number[]): NodeInit {
  const isText = typeof values[0] === "string";
  const dtype = isText ? DataType.DT_STRING : DataType.DT_FLOAT;
  const data = isText
    ? { stringVal: (values as readonly string[]).map((text) => new TextEncoder().encode(text)) }
    : { floatVal: [...(values as readonly number[])] };
  return {
    name,
    op: "Const",
    attr: {
      dtype: type(dtype),
      value: { value: { case: "tensor", value: { dtype, tensorShape: shape(...sides), ...data } } },
    },
  };
}

/** y = x / 2 + 2, where x is fed, or the feature `x` of serialized examples. */
const NODES: NodeInit[] = [
  {
    name: "tf_example",
    op: "Placeholder",
    attr: {
      dtype: type(DataType.DT_STRING),
      shape: { value: { case: "shape", value: { unknownRank: true } } },
    },
  },
  constant("names", [], 0),
  constant("key", ["x"]),
  constant("fallback", [0], 1),
  {
    name: "ParseExample/ParseExample",
    op: "ParseExample",
    input: ["tf_example", "names", "key", "fallback"],
    attr: {
      Nsparse: count(0),
      Ndense: count(1),
      Tdense: { value: { case: "list", value: { type: [DataType.DT_FLOAT] } } },
      dense_shapes: { value: { case: "list", value: { shape: [shape(1)] } } },
    },
  },
  { name: "x", op: "Identity", input: ["ParseExample/ParseExample"], attr: { T: FLOAT } },
  constant("a", [0.5]),
  constant("b", [2]),
  { name: "Mul", op: "Mul", input: ["a", "x"], attr: { T: FLOAT } },
  { name: "y", op: "Add", input: ["Mul", "b"], attr: { T: FLOAT } },
];

const floats = (name: string) => ({
  encoding: { case: "name" as const, value: name },
  dtype: DataType.DT_FLOAT,
  tensorShape: shape(-1, 1),
});
const EXAMPLES = {
  encoding: { case: "name" as const, value: "tf_example:0" },
  dtype: DataType.DT_STRING,
  tensorShape: { unknownRank: true },
};

const HALF_PLUS_TWO = create(SavedModelSchema, {
  savedModelSchemaVersion: 1n,
  metaGraphs: [
    {
      metaInfoDef: { tags: ["serve"] },
      graphDef: { node: NODES },
      signatureDef: {
        serving_default: {
          inputs: { x: floats("x:0") },
          outputs: { y: floats("y:0") },
          methodName: "tensorflow/serving/predict",
        },
        regress_x_to_y: {
          inputs: { inputs: EXAMPLES },
          outputs: { outputs: floats("y:0") },
          methodName: "tensorflow/serving/regress",
        },
        classify_x_to_y: {
          inputs: { inputs: EXAMPLES },
          outputs: { scores: floats("y:0") },
          methodName: "tensorflow/serving/classify",
        },
      },
    },
  ],
});

async function writeModel(folder: string, model: Parameters<typeof toBinary<typeof SavedModelSchema>>[1]) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "saved_model.pb"), toBinary(SavedModelSchema, model));
}

/** Writes TensorFlow Serving's best known test model as one version's folder. */
export const writeHalfPlusTwo = (folder: string): Promise<void> => writeModel(folder, HALF_PLUS_TWO);

/** The same with a signature whose operators are known, in a form that cannot be imported: as many copies as a client says. */
export async function writeHalfAndCopies(folder: string): Promise<void> {
  const model = clone(SavedModelSchema, HALF_PLUS_TWO);
  const [{ graphDef, signatureDef }] = model.metaGraphs as [(typeof model.metaGraphs)[number]];
  const times: NodeInit[] = [
    {
      name: "times",
      op: "Placeholder",
      attr: { dtype: type(DataType.DT_INT32), shape: { value: { case: "shape", value: shape(2) } } },
    },
    {
      name: "copies",
      op: "Tile",
      input: ["y", "times"],
      attr: { T: FLOAT, Tmultiples: type(DataType.DT_INT32) },
    },
  ];
  graphDef!.node.push(...times.map((node) => create(NodeDefSchema, node)));
  const copied: MessageInitShape<typeof SignatureDefSchema> = {
    inputs: {
      x: floats("x:0"),
      times: {
        encoding: { case: "name", value: "times:0" },
        dtype: DataType.DT_INT32,
        tensorShape: shape(2),
      },
    },
    outputs: { copies: floats("copies:0") },
    methodName: "tensorflow/serving/predict",
  };
  signatureDef.copied = create(SignatureDefSchema, copied);
  await writeModel(folder, model);
}

const unknownRank = (name: string, dtype = DataType.DT_FLOAT) => ({
  encoding: { case: "name" as const, value: name },
  dtype,
  tensorShape: { unknownRank: true },
});
/** A reference to a float, as TensorFlow 1 declares what an assignment passes on. */
const FLOAT_REF = 101 as DataType;

function changing(name: string, op: string, value: string): NodeInit {
  return { name, op, input: ["counter", value], attr: { T: FLOAT } };
}

/** TensorFlow Serving's counter: signatures that read, increment and reset a variable of the version. */
const COUNTER = create(SavedModelSchema, {
  savedModelSchemaVersion: 1n,
  metaGraphs: [
    {
      metaInfoDef: { tags: ["serve"] },
      graphDef: {
        node: [
          {
            name: "counter",
            op: "VariableV2",
            attr: { dtype: FLOAT, shape: { value: { case: "shape", value: shape() } } },
          },
          { name: "get", op: "Identity", input: ["counter"], attr: { T: FLOAT } },
          constant("one", [1]),
          constant("zero", [0]),
          {
            name: "delta",
            op: "Placeholder",
            attr: { dtype: FLOAT, shape: { value: { case: "shape", value: { unknownRank: true } } } },
          },
          changing("incr", "AssignAdd", "one"),
          changing("incr_by", "AssignAdd", "delta"),
          changing("reset", "Assign", "zero"),
          { name: "hidden", op: "Identity", input: ["one", "^incr"], attr: { T: FLOAT } },
        ],
      },
      signatureDef: Object.fromEntries(
        (
          [
            ["get_counter", "get", [], DataType.DT_FLOAT],
            ["incr_counter", "incr", [], FLOAT_REF],
            ["incr_counter_by", "incr_by", ["delta"], FLOAT_REF],
            ["reset_counter", "reset", [], FLOAT_REF],
            ["hidden_change", "hidden", [], DataType.DT_FLOAT],
          ] as const
        ).map(([name, output, inputs, dtype]) => [
          name,
          {
            inputs: Object.fromEntries(inputs.map((alias) => [alias, unknownRank(`${alias}:0`)])),
            outputs: { output: unknownRank(`${output}:0`, dtype) },
            methodName: "tensorflow/serving/predict",
          },
        ]),
      ),
    },
  ],
});

/** Writes the counter as one version's folder, its variable at 0. */
export async function writeCounter(folder: string): Promise<void> {
  await writeBundle(join(folder, "variables/variables"), new Map([["counter", float32([], [0])]]));
  await writeFile(join(folder, "saved_model.pb"), toBinary(SavedModelSchema, COUNTER));
}

const INT32 = type(DataType.DT_INT32);
const INT64 = type(DataType.DT_INT64);

/** Rows of a table by their indices, as an embedding layer looks them up. */
const LOOKUP = create(SavedModelSchema, {
  savedModelSchemaVersion: 1n,
  metaGraphs: [
    {
      metaInfoDef: { tags: ["serve"] },
      graphDef: {
        node: [
          {
            name: "index",
            op: "Placeholder",
            attr: { dtype: INT64, shape: { value: { case: "shape", value: shape(-1) } } },
          },
          constant("table", [10, 11, 20, 21, 30, 31], 3, 2),
          {
            name: "axis",
            op: "Const",
            attr: {
              dtype: INT32,
              value: {
                value: { case: "tensor", value: { dtype: DataType.DT_INT32, tensorShape: {}, intVal: [0] } },
              },
            },
          },
          {
            name: "rows",
            op: "GatherV2",
            input: ["table", "index", "axis"],
            attr: { Tparams: FLOAT, Tindices: INT64, Taxis: INT32, batch_dims: count(0) },
          },
        ],
      },
      signatureDef: {
        serving_default: {
          inputs: {
            index: {
              encoding: { case: "name", value: "index:0" },
              dtype: DataType.DT_INT64,
              tensorShape: shape(-1),
            },
          },
          outputs: {
            rows: {
              encoding: { case: "name", value: "rows:0" },
              dtype: DataType.DT_FLOAT,
              tensorShape: shape(-1, 2),
            },
          },
          methodName: "tensorflow/serving/predict",
        },
      },
    },
  ],
});

/** Writes a table of three rows as one version's folder. */
export async function writeLookup(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "saved_model.pb"), toBinary(SavedModelSchema, LOOKUP));
}
