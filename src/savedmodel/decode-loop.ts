/** @file Writes the decode loop: a TensorFlow loop that turns image files of any size into a batch of images of one size. */
import { create } from "@bufbuild/protobuf";
import { tensor } from "../base/tensor.ts";
import type { AttrValue, FunctionDef, NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { FunctionDefSchema, NodeDefSchema } from "../proto/tensorflow/graph_pb.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import { attr, type GraphWriter } from "./write/graph-writer.ts";

/** Rows and columns of the images that the network takes. */
export interface DecodedSize {
  readonly height: number;
  readonly width: number;
}

const INT32 = attr.type("int32");
const FLOAT = attr.type("float32");
const LARGEST_BYTE = 255;

/** The loop's variables: counter, number of files, the files, the images so far. */
const CARRIED = [
  { name: "i", type: DataType.DT_INT32 },
  { name: "count", type: DataType.DT_INT32 },
  { name: "files", type: DataType.DT_VARIANT },
  { name: "images", type: DataType.DT_VARIANT },
] as const;

const int32 = (shape: readonly number[], ...values: number[]) =>
  attr.tensor(tensor("int32", shape, Int32Array.from(values)));
const constant = (value: AttrValue, dtype = INT32) => ({ dtype, value });

function step(name: string, op: string, input: string[], attributes: Record<string, AttrValue>): NodeDef {
  return create(NodeDefSchema, { name, op, input, attr: attributes });
}

/** Continues while files are left. */
function condition(name: string): FunctionDef {
  return create(FunctionDefSchema, {
    signature: { name, inputArg: [...CARRIED], outputArg: [{ name: "more", type: DataType.DT_BOOL }] },
    nodeDef: [step("less", "Less", ["i", "count"], { T: INT32 })],
    ret: { more: "less:z:0" },
  });
}

/**
 * One file becomes one image: decoded with libjpeg's exact transform, resized with a triangle filter that widens as the
 * image shrinks (as training prepares its photographs), scaled to [0, 1].
 */
function bodySteps({ height, width }: DecodedSize): NodeDef[] {
  const list = { element_dtype: attr.type("string") };
  return [
    step("one", "Const", [], constant(int32([], 1))),
    step("next", "AddV2", ["i", "one:output:0"], { T: INT32 }),
    step("scalar", "Const", [], constant(int32([0]))),
    step("file", "TensorListGetItem", ["files", "i", "scalar:output:0"], list),
    step("pixels", "DecodeJpeg", ["file:item:0"], {
      channels: attr.int(3),
      dct_method: attr.text("INTEGER_ACCURATE"),
    }),
    step("shape", "Shape", ["pixels:image:0"], { T: attr.type("uint8"), out_type: INT32 }),
    step("start", "Const", [], constant(int32([1], 0))),
    step("end", "Const", [], constant(int32([1], 2))),
    step("stride", "Const", [], constant(int32([1], 1))),
    step("sides", "StridedSlice", ["shape:output:0", "start:output:0", "end:output:0", "stride:output:0"], {
      T: INT32,
      Index: INT32,
    }),
    step("size", "Const", [], constant(int32([2], height, width))),
    step("from", "Cast", ["sides:output:0"], { SrcT: INT32, DstT: FLOAT }),
    step("to", "Cast", ["size:output:0"], { SrcT: INT32, DstT: FLOAT }),
    step("scale", "RealDiv", ["to:y:0", "from:y:0"], { T: FLOAT }),
    step("axis", "Const", [], constant(int32([], 0))),
    step("batch", "ExpandDims", ["pixels:image:0", "axis:output:0"], { T: attr.type("uint8"), Tdim: INT32 }),
    step("origin", "Const", [], constant(attr.tensor(tensor("float32", [2], new Float32Array(2))), FLOAT)),
    step(
      "resized",
      "ScaleAndTranslate",
      ["batch:output:0", "size:output:0", "scale:z:0", "origin:output:0"],
      { T: attr.type("uint8"), kernel_type: attr.text("triangle"), antialias: attr.bool(true) },
    ),
    step("single", "Squeeze", ["resized:resized_images:0"], { T: FLOAT, squeeze_dims: attr.ints([0]) }),
    step(
      "white",
      "Const",
      [],
      constant(attr.tensor(tensor("float32", [], Float32Array.of(LARGEST_BYTE))), FLOAT),
    ),
    step("image", "RealDiv", ["single:output:0", "white:output:0"], { T: FLOAT }),
    step("put", "TensorListSetItem", ["images", "i", "image:z:0"], { element_dtype: FLOAT }),
  ];
}

function body(name: string, size: DecodedSize): FunctionDef {
  return create(FunctionDefSchema, {
    signature: {
      name,
      inputArg: [...CARRIED],
      outputArg: CARRIED.map(({ name: carried, type }) => ({ name: `${carried}_out`, type })),
    },
    nodeDef: bodySteps(size),
    ret: { i_out: "next:z:0", count_out: "count", files_out: "files", images_out: "put:output_handle:0" },
  });
}

/** The loop's two functions for images of a size. */
export function decodeLoopFunctions(size: DecodedSize): { condition: FunctionDef; body: FunctionDef } {
  const name = `photographs_${size.height}x${size.width}`;
  return { condition: condition(`${name}_condition`), body: body(`${name}_body`, size) };
}

/**
 * Adds the loop to a graph.
 * @param files the value of type string, `[batch]`.
 * @returns the name of the value `[batch, height, width, 3]`, float32 RGB in [0, 1].
 */
export function writeDecodeLoop(graph: GraphWriter, files: string, size: DecodedSize): string {
  const functions = decodeLoopFunctions(size);
  graph.define(functions.condition);
  graph.define(functions.body);
  const shapes = { shape_type: INT32 };
  const element = graph.ints([size.height, size.width, 3]);
  const count = graph.node("Size", [files], { T: attr.type("string"), out_type: INT32 }, files);
  const list = graph.node(
    "TensorListFromTensor",
    [files, graph.ints([])],
    { element_dtype: attr.type("string"), ...shapes },
    files,
  );
  const room = graph.node("TensorListReserve", [element, count], { element_dtype: FLOAT, ...shapes }, files);
  const loop = graph.node(
    "StatelessWhile",
    [graph.int(0), count, list, room],
    {
      T: attr.dataTypes(CARRIED.map(({ type }) => type)),
      cond: attr.func(functions.condition.signature!.name),
      body: attr.func(functions.body.signature!.name),
    },
    files,
  );
  return graph.node("TensorListStack", [`${loop}:3`, element], { element_dtype: FLOAT }, files);
}
