/** @file Reads ONNX files into our graph: what they take, what they give, and the computation in between. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { shapeText, type Tensor } from "../../base/tensor.ts";
import { keepsImagesApart } from "../../graph/batch-rows.ts";
import { type Dim, type SymbolicShape, UNKNOWN_DIM } from "../../graph/ops.ts";
import type { GraphProto, ModelProto, TensorProto, TensorShapeProto } from "../../proto/onnx/onnx_pb.ts";
import { ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { dtypeOfOnnx } from "../dtypes.ts";
import type { NeededPart, OnnxProgram, WantedInput } from "./import-graph.ts";
import { importGraph, neededPart, refuseUnknown } from "./import-graph.ts";
import { type ExternalData, storedTensor } from "./stored-tensor.ts";

export type { OnnxProgram } from "./import-graph.ts";

/** Operator sets that can be read. */
const OLDEST_OPSET = 9;
const NEWEST_OPSET = 24;
/** The name of the first side where any number of images may be given. */
const BATCH = "batch";
const LONGEST_SIDE = 2 ** 31 - 1;

export interface OnnxReadOptions {
  /** What the file is called in errors. */
  readonly what?: string;
  /**
   * Shapes of inputs in place of those in the file, in the file's order of axes; a name such as `"batch"` stands for a side
   * of any length. A network whose operators do not depend on the image's size can so be read for another one.
   */
  readonly inputShapes?: Readonly<Record<string, SymbolicShape>>;
  /**
   * `channels-second` takes images as the file does, `[batch, channels, height, width]`; `channels-last` makes every input of
   * rank 4 `[batch, height, width, channels]`. Outputs stay as they are in the file. Default `channels-second`.
   */
  readonly images?: "channels-second" | "channels-last";
  /** What was read from files beside the model. */
  readonly external?: ExternalData;
}

/** How the pointer begins that Git keeps in place of a large file. */
const LFS_POINTER = "version https://git-lfs.github.com/spec/";

function refuseOtherFiles(bytes: Uint8Array, what: string): void {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, LFS_POINTER.length));
  if (start !== LFS_POINTER) return;
  throw new FaceError("MODEL_INVALID", `${what} is Git LFS's pointer to a model, not the model itself`, {
    hint: "run `git lfs pull` where the file comes from, or download it from its page",
  });
}

/**
 * The message in an ONNX file.
 * @throws FaceError `MODEL_INVALID` where it is none.
 */
export function parseModel(bytes: Uint8Array, what: string): { model: ModelProto; graph: GraphProto } {
  refuseOtherFiles(bytes, what);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new FaceError("MODEL_INVALID", `${what} is damaged: ${messageOf(error)}`, {
      hint: "export the ONNX file again, or copy it again",
      cause: error,
    });
  }
  const { graph } = model;
  if (graph === undefined || graph.output.length === 0)
    throw new FaceError("MODEL_INVALID", `${what} holds no ONNX graph`);
  return { model, graph };
}

/** The operator set of ONNX's own operators. */
function opsetOf(model: ModelProto, what: string): number {
  const sets = model.opsetImport.filter(({ domain }) => domain === "" || domain === "ai.onnx");
  const opset = Math.max(...sets.map(({ version }) => Number(version)), 1);
  if (opset >= OLDEST_OPSET && opset <= NEWEST_OPSET) return opset;
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${what} is written in operator set ${opset}; ${OLDEST_OPSET} to ${NEWEST_OPSET} can be read`,
    { hint: "convert it with onnx.version_converter.convert_version(model, 21)" },
  );
}

/** The sides of an input by the file; those that it leaves open get the names that it gives them, or one of ours. */
function declaredShape(name: string, shape: TensorShapeProto | undefined, what: string): Dim[] {
  if (shape === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${what}: the input ${name} has no known rank`, {
      hint: "give its shape, or export the model with one; single sides may be unknown",
    });
  }
  return shape.dim.map(({ value }, axis): Dim => {
    if (value.case === "dimValue" && value.value > 0n) return Number(value.value);
    const given = value.case === "dimParam" ? value.value : "";
    if (given !== "" && given !== UNKNOWN_DIM) return given;
    return axis === 0 ? BATCH : `${name}_${axis}`;
  });
}

/** Takes a shape of the caller's in place of the file's. */
function requestedShape(
  name: string,
  declared: readonly Dim[] | undefined,
  wanted: SymbolicShape,
): SymbolicShape {
  const legal = wanted.every((side) =>
    typeof side === "number" ? Number.isInteger(side) && side > 0 : side !== "" && side !== UNKNOWN_DIM,
  );
  if (!legal || (declared !== undefined && wanted.length !== declared.length)) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `the input ${name} of shape ${shapeText(declared ?? [])} cannot be read as ${shapeText(wanted)}`,
    );
  }
  return wanted;
}

function wantedInputs(
  graph: GraphProto,
  part: NeededPart,
  options: OnnxReadOptions,
  what: string,
): WantedInput[] {
  const { inputShapes = {}, images = "channels-second" } = options;
  const unknown = Object.keys(inputShapes).find((name) => !part.inputs.includes(name));
  if (unknown !== undefined) {
    throw new FaceError("SHAPE_MISMATCH", `${what} has no input ${unknown} that is used`, {
      hint: `it has ${part.inputs.join(", ") || "none"}`,
    });
  }
  return part.inputs.map((name) => {
    const type = graph.input.find((each) => each.name === name)?.type?.value;
    const dtype = type?.case === "tensorType" ? dtypeOfOnnx(type.value.elemType) : undefined;
    if (type?.case !== "tensorType" || dtype === undefined || dtype === "string")
      throw new FaceError("MODEL_UNSUPPORTED", `${what}: the input ${name} is no tensor of numbers`);
    const requested = inputShapes[name];
    const shape =
      requested === undefined
        ? declaredShape(name, type.value.shape, what)
        : requestedShape(name, type.value.shape && declaredShape(name, type.value.shape, what), requested);
    if (shape.some((side) => typeof side === "number" && side > LONGEST_SIDE))
      throw new FaceError("MODEL_INVALID", `${what}: the input ${name} has the shape ${shapeText(shape)}`);
    return { name, dtype, shape, channelsLast: images === "channels-last" && shape.length === 4 };
  });
}

/** The batch side of a file that fixes one image where the caller asks for any number of them; else undefined. */
function freedBatch(graph: GraphProto, wanted: readonly WantedInput[]): string | undefined {
  const freed = wanted.flatMap(({ name, shape: [first] }) => {
    const type = graph.input.find((each) => each.name === name)?.type?.value;
    const side = type?.case === "tensorType" ? type.value.shape?.dim[0]?.value : undefined;
    return side?.case === "dimValue" && side.value === 1n && typeof first === "string" ? [first] : [];
  });
  return freed[0];
}

/** The same inputs for any number of images, where the file fixes one. */
function withFreeBatch(wanted: readonly WantedInput[]): WantedInput[] | undefined {
  const isFixed = wanted.length > 0 && wanted.every(({ shape }) => shape.length > 1 && shape[0] === 1);
  return isFixed ? wanted.map((each) => ({ ...each, shape: [BATCH, ...each.shape.slice(1)] })) : undefined;
}

/**
 * Reads an ONNX model into our graph. A file that fixes one image is read for any number of them where its operators treat
 * each image by itself; inputs that no output needs are left out.
 * @throws FaceError `MODEL_INVALID` for a damaged file or one that contradicts itself, `MODEL_UNSUPPORTED` naming every
 *   operation that cannot be read, `SHAPE_MISMATCH` for shapes that do not fit the file's inputs.
 */
export function readOnnx(bytes: Uint8Array, options: OnnxReadOptions = {}): OnnxProgram {
  const { what = "the model" } = options;
  const { model, graph } = parseModel(bytes, what);
  return programOf(model, graph, { ...options, what });
}

/** Reads a model that was parsed. */
export function programOf(
  model: ModelProto,
  graph: GraphProto,
  options: OnnxReadOptions & { readonly what: string },
): OnnxProgram {
  const { what, external, inputShapes = {} } = options;
  const opset = opsetOf(model, what);
  if (graph.sparseInitializer.length > 0)
    throw new FaceError("MODEL_UNSUPPORTED", `${what} stores sparse tensors, which cannot be read`);
  const part = neededPart(graph, what);
  refuseUnknown(part.nodes, what);
  const known = new Map<TensorProto, Tensor>();
  const tensor = (stored: TensorProto, place: string) => {
    const value = known.get(stored) ?? storedTensor(stored, `${what}: ${place}`, external);
    known.set(stored, value);
    return value;
  };
  const read = (inputs: readonly WantedInput[], batch: string | undefined) =>
    importGraph(graph, part, inputs, { opset, batch, tensor }, what);
  const wanted = wantedInputs(graph, part, options, what);
  const free = Object.keys(inputShapes).length === 0 ? withFreeBatch(wanted) : undefined;
  if (free !== undefined) {
    const program = anyNumber(() => read(free, BATCH));
    if (program !== undefined) return program;
  }
  const batch = freedBatch(graph, wanted);
  const program = read(wanted, batch);
  if (batch !== undefined && !keepsImagesApart(Object.values(program.outputs), batch)) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `${what} was made for one image and mixes what belongs to several`,
      { hint: "read it with 1 as the first side of its inputs" },
    );
  }
  return program;
}

/** A program for any number of images, where there is one. */
function anyNumber(read: () => OnnxProgram): OnnxProgram | undefined {
  try {
    const program = read();
    return keepsImagesApart(Object.values(program.outputs), BATCH) ? program : undefined;
  } catch (error) {
    // Read as the file says, it may still be sound; if not, that reading tells why.
    if (error instanceof FaceError) return undefined;
    throw error;
  }
}
