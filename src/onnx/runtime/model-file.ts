/** @file Reads what an ONNX file holds: inputs, outputs, operators, parameters. Nothing is run. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import { readRegular } from "../../base/files.ts";
import { bytesPerElement, type DType } from "../../base/tensor.ts";
import type {
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TensorShapeProto,
  ValueInfoProto,
} from "../../proto/onnx/onnx_pb.ts";
import { ModelProtoSchema, TensorProto_DataLocation } from "../../proto/onnx/onnx_pb.ts";
import { dtypeOfOnnx } from "../dtypes.ts";

/** An input or output of the model. */
export interface OnnxPort {
  readonly name: string;
  readonly dtype: DType;
  /** Sides, -1 for any size; `undefined` when the rank is unknown. */
  readonly shape: readonly number[] | undefined;
}

/** A summary of an ONNX file. */
export interface OnnxModel {
  readonly inputs: readonly OnnxPort[];
  /** Names of the inputs that a node reads; files may list others, which nothing depends on. */
  readonly usedInputs: ReadonlySet<string>;
  readonly outputs: readonly OnnxPort[];
  /** How often each operator occurs, bodies of loops and branches included; those of other domains as `domain.Name`. */
  readonly operations: ReadonlyMap<string, number>;
  /** Numbers in stored tensors of four elements or more: weights, not shapes and axes. */
  readonly parameters: number;
  /** Operator set of each domain, `ai.onnx` for ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly irVersion: number;
  /** Program that wrote the file, with its version; empty when it does not say. */
  readonly producer: string;
}

const STANDARD_DOMAIN = "ai.onnx";
const SMALLEST_WEIGHT = 4;
/** Protobuf's own limit on one message. */
const LARGEST_MESSAGE = 2 ** 31 - 1;

const damaged = (what: string, reason: string, cause?: unknown) =>
  new FaceError("MODEL_INVALID", `${what} is damaged: ${reason}`, {
    hint: "export the ONNX file again, or copy it again",
    ...(cause === undefined ? {} : { cause }),
  });

function shapeOf(shape: TensorShapeProto | undefined): readonly number[] | undefined {
  return shape?.dim.map(({ value }) =>
    value.case === "dimValue" && value.value >= 0n ? Number(value.value) : -1,
  );
}

function portOf({ name, type }: ValueInfoProto, what: string): OnnxPort {
  const value = type?.value;
  const dtype = value?.case === "tensorType" ? dtypeOfOnnx(value.value.elemType) : undefined;
  if (value?.case !== "tensorType" || dtype === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${what}: ${name} is not a tensor of a supported type`, {
      hint: "sequences, maps and complex numbers cannot be inputs or outputs",
    });
  }
  return { name, dtype, shape: shapeOf(value.value.shape) };
}

/** Elements that a stored tensor's shape asks for. */
function sizeOf({ name, dims }: TensorProto, what: string): number {
  const size = dims.reduce((product, side) => product * Number(side), 1);
  if (dims.some((side) => side < 0n) || !Number.isSafeInteger(size)) {
    throw damaged(what, `the stored tensor ${name} has the impossible shape [${dims.join(",")}]`);
  }
  return size;
}

/** Checks that the file holds all of a stored tensor, so that the runtime gets no inconsistent model. */
function checkStored(stored: TensorProto, what: string, mayBeExternal: boolean): void {
  const isExternal = stored.dataLocation === TensorProto_DataLocation.EXTERNAL;
  if (isExternal && !mayBeExternal) {
    throw new FaceError("MODEL_UNSUPPORTED", `${what}: ${stored.name} is stored in another file`, {
      hint: "make one file of it: faceid convert MODEL --onnx FILE",
    });
  }
  const size = sizeOf(stored, what);
  const dtype = dtypeOfOnnx(stored.dataType);
  if (dtype === undefined || dtype === "string" || stored.rawData.length === 0) return;
  const wanted = size * bytesPerElement(dtype);
  if (stored.rawData.length !== wanted) {
    throw damaged(what, `${stored.name} takes ${wanted} bytes, the file holds ${stored.rawData.length}`);
  }
}

/** The graph and, with it, the bodies of its loops and branches. */
function allGraphs(graph: GraphProto): GraphProto[] {
  const graphs = [graph];
  for (const each of graphs) {
    for (const { attribute } of each.node)
      for (const { g, graphs: bodies } of attribute) graphs.push(...(g === undefined ? [] : [g]), ...bodies);
  }
  return graphs;
}

const operatorName = ({ domain, opType }: NodeProto) =>
  domain === "" || domain === STANDARD_DOMAIN ? opType : `${domain}.${opType}`;

function countOperations(nodes: readonly NodeProto[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(operatorName(node), (counts.get(operatorName(node)) ?? 0) + 1);
  return counts;
}

function parse(bytes: Uint8Array, what: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw damaged(what, messageOf(error), error);
  }
}

export interface ParseOptions {
  /** Whether weights may be kept in other files, which are not read. Default false, as the engine gets the bytes alone. */
  readonly mayBeExternal?: boolean;
}

/**
 * Reads an ONNX model.
 * @param what its name, for errors.
 * @throws FaceError `MODEL_INVALID` for a damaged file, `MODEL_UNSUPPORTED` for weights in other files and for inputs
 *   or outputs that are no tensors.
 */
export function parseOnnx(
  bytes: Uint8Array,
  what: string,
  { mayBeExternal = false }: ParseOptions = {},
): OnnxModel {
  const model = parse(bytes, what);
  const { graph } = model;
  if (graph === undefined || graph.output.length === 0) throw damaged(what, "it holds no graph");
  const graphs = allGraphs(graph);
  const stored = graphs.flatMap(({ initializer }) => initializer);
  for (const each of stored) checkStored(each, what, mayBeExternal);
  // Before IR version 4 every stored tensor had to be listed as an input too.
  const isStored = new Set(graph.initializer.map(({ name }) => name));
  const read = new Set([
    ...graph.output.map(({ name }) => name),
    ...graphs.flatMap(({ node }) => node.flatMap(({ input }) => input)),
  ]);
  const weights = stored.map((each) => sizeOf(each, what)).filter((size) => size >= SMALLEST_WEIGHT);
  return {
    inputs: graph.input.filter(({ name }) => !isStored.has(name)).map((port) => portOf(port, what)),
    usedInputs: read,
    outputs: graph.output.map((port) => portOf(port, what)),
    operations: countOperations(graphs.flatMap(({ node }) => node)),
    parameters: weights.reduce((sum, size) => sum + size, 0),
    opsets: new Map(
      model.opsetImport.map(({ domain, version }) => [domain || STANDARD_DOMAIN, Number(version)]),
    ),
    irVersion: Number(model.irVersion),
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
  };
}

/**
 * The bytes of an ONNX file.
 * @throws FaceError `MODEL_NOT_FOUND` when it cannot be read.
 */
export async function onnxBytes(path: string): Promise<Uint8Array> {
  try {
    return await readRegular(path, LARGEST_MESSAGE);
  } catch (error) {
    if (error instanceof FaceError) throw error;
    throw new FaceError("MODEL_NOT_FOUND", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Reads an ONNX file.
 * @throws FaceError as `onnxBytes` and `parseOnnx`.
 */
export async function readOnnxFile(
  path: string,
  options?: ParseOptions,
): Promise<{ bytes: Uint8Array; model: OnnxModel }> {
  const bytes = await onnxBytes(path);
  return { bytes, model: parseOnnx(bytes, path, options) };
}
