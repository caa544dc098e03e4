/** @file Summarises a SavedModel: signatures, operations, parameters, sizes. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { readDescription } from "../artifact/description.ts";
import { isFloat } from "../base/tensor.ts";
import type { GraphDef, NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { dtypeOf } from "./format/tensor-proto.ts";
import { isFed, isReadable, sliceOf } from "./read/import-graph.ts";
import type { InlinedNode } from "./read/inlined-graph.ts";
import { DECODE_OPERATORS, matchDecodeLoops } from "./read/match-decode-loop.ts";
import { type ReadModel, readSavedModel } from "./read/read.ts";
import { VARIABLE_OPS } from "./read/variable-keys.ts";
import type { Signature, SignatureTensor } from "./signature.ts";

/** One input or output, in plain data. */
export interface PortReport {
  readonly name: string;
  readonly dtype: string;
  /** Sides, -1 for any size; null when the rank is unknown. */
  readonly shape: readonly number[] | null;
  readonly tensor: string;
}

export interface SignatureReport {
  readonly name: string;
  readonly method: string;
  readonly inputs: readonly PortReport[];
  readonly outputs: readonly PortReport[];
}

export interface ModelReport {
  readonly format: "savedmodel";
  readonly folder: string;
  readonly bytes: number;
  readonly tags: readonly string[];
  /** The version of TensorFlow whose format it is. */
  readonly tensorflowVersion: string;
  /** The program that wrote it, with its version: `TensorFlow 2.21.0`, `faceid 0.1.0`. */
  readonly writtenBy: string;
  readonly signatures: readonly SignatureReport[];
  /** Operators that the signatures need with their counts after inlining calls, most frequent first. */
  readonly operations: readonly {
    readonly name: string;
    readonly count: number;
    readonly supported: boolean;
  }[];
  readonly functions: number;
  /** Variables that the signatures need. */
  readonly variables: number;
  /** Numbers in those variables, and in constants of four real numbers or more: weights, not shapes and factors. */
  readonly parameters: number;
}

const SMALLEST_WEIGHT = 4;
/** Operators whose work a server does before the graph is run. */
const PARSING_OPERATORS = ["ParseExample", "ParseExampleV2"];

const portReports = (tensors: ReadonlyMap<string, SignatureTensor>): PortReport[] =>
  [...tensors].map(([name, { dtype, shape, tensorName }]) => ({
    name,
    dtype,
    shape: shape ?? null,
    tensor: tensorName,
  }));

/** A signature in plain data. */
export function signatureReport(name: string, signature: Signature): SignatureReport {
  return {
    name,
    method: signature.methodName,
    inputs: portReports(signature.inputs),
    outputs: portReports(signature.outputs),
  };
}

function neededNodes({ graph, signatures }: ReadModel): InlinedNode[] {
  const nodes = new Map<string, InlinedNode>();
  for (const signature of signatures.values()) {
    for (const node of sliceOf(graph, signature).nodes) if (!isFed(node)) nodes.set(node.place, node);
  }
  return [...nodes.values()];
}

/** The nodes of the functions that loops and branches run. */
function bodiesOf(nodes: readonly InlinedNode[], graph: GraphDef): NodeDef[] {
  const called = new Set(
    nodes.flatMap(({ def }) =>
      Object.values(def.attr).flatMap(({ value }) => (value.case === "func" ? [value.value.name] : [])),
    ),
  );
  const bodies = graph.library?.function.filter(({ signature }) => called.has(signature?.name ?? "")) ?? [];
  return bodies.flatMap((each) => each.nodeDef);
}

/** @param before operators whose work is done before the graph is run. */
function countOperations(nodes: readonly NodeDef[], before: ReadonlySet<string>): ModelReport["operations"] {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({
      name,
      count,
      supported: isReadable(name) || before.has(name),
    }))
    .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

function countConstants(nodes: readonly NodeDef[]): number {
  return nodes.reduce((sum, { op, attr }) => {
    const value = attr.value?.value;
    if (op !== "Const" || value?.case !== "tensor" || !isFloat(dtypeOf(value.value.dtype) ?? "string"))
      return sum;
    const size = (value.value.tensorShape?.dim ?? []).reduce((product, dim) => product * Number(dim.size), 1);
    return sum + (size >= SMALLEST_WEIGHT ? size : 0);
  }, 0);
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The program that wrote a model; versions that this one's predecessors exported name it in their description. */
async function writerOf(folder: string, { gitVersion, tensorflowVersion }: ReadModel): Promise<string> {
  if (gitVersion.startsWith("faceid ")) return gitVersion;
  const description = await readDescription(folder);
  if (description !== undefined) return `faceid ${description.faceid}`;
  return `TensorFlow ${tensorflowVersion || "unknown"}`;
}

/** Reads a version's folder and summarises it; nothing is run. @param file of the SavedModel, where it has another name. */
export async function inspectSavedModel(folder: string, file = folder): Promise<ModelReport> {
  const model = await readSavedModel(file);
  const decodes = [...model.signatures.values()].some((each) => matchDecodeLoops(model.graph, each));
  const needed = neededNodes(model);
  const variables = needed.filter(({ def }) => VARIABLE_OPS.has(def.op));
  const defs = [...needed.map(({ def }) => def), ...bodiesOf(needed, model.graph)];
  return {
    format: "savedmodel",
    folder,
    bytes: await folderBytes(folder),
    tags: model.tags,
    tensorflowVersion: model.tensorflowVersion,
    writtenBy: await writerOf(folder, model),
    signatures: [...model.signatures].map(([name, signature]) => signatureReport(name, signature)),
    operations: countOperations(defs, new Set([...PARSING_OPERATORS, ...(decodes ? DECODE_OPERATORS : [])])),
    functions: model.graph.library?.function.length ?? 0,
    variables: variables.length,
    parameters: countConstants(defs) + (await model.variables.count(variables)),
  };
}
