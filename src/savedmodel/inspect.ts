/** @file What is inside a SavedModel: signatures, operations, parameters, sizes. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { findPhotographs, PHOTOGRAPH_OPERATORS } from "./find-photographs.ts";
import { importers } from "./from-tensorflow.ts";
import { type ReadModel, readSavedModel } from "./read.ts";
import type { Signature, SignatureTensor } from "./signature.ts";

/** One input or output, in plain data. */
export interface PortReport {
  readonly name: string;
  readonly dtype: string;
  /** Sides, -1 where any will do; null when the rank is unknown. */
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
  readonly tensorflowVersion: string;
  readonly signatures: readonly SignatureReport[];
  /** Operators with how often they occur, most frequent first, function bodies included. */
  readonly operations: readonly {
    readonly name: string;
    readonly count: number;
    readonly supported: boolean;
  }[];
  readonly functions: number;
  /** Numbers in constants of four elements or more: weights, not shapes and axes. */
  readonly parameters: number;
}

const SMALLEST_WEIGHT = 4;
const FRAME_OPERATORS: ReadonlySet<string> = new Set(["Placeholder", "NoOp"]);

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

/** @param before operators whose work is done before the graph is run. */
function countOperations(nodes: readonly NodeDef[], before: ReadonlySet<string>): ModelReport["operations"] {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({
      name,
      count,
      supported: name in importers || FRAME_OPERATORS.has(name) || before.has(name),
    }))
    .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

function countParameters(nodes: readonly NodeDef[]): number {
  return nodes.reduce((sum, { op, attr }) => {
    const value = attr.value?.value;
    if (op !== "Const" || value?.case !== "tensor") return sum;
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

function report(folder: string, bytes: number, model: ReadModel): ModelReport {
  const functions = model.graph.library?.function ?? [];
  const decodes = [...model.signatures.values()].some((each) => findPhotographs(model.graph, each));
  const nodes = [...model.graph.node, ...functions.flatMap((each) => each.nodeDef)];
  return {
    format: "savedmodel",
    folder,
    bytes,
    tags: model.tags,
    tensorflowVersion: model.tensorflowVersion,
    signatures: [...model.signatures].map(([name, signature]) => signatureReport(name, signature)),
    operations: countOperations(nodes, decodes ? PHOTOGRAPH_OPERATORS : new Set()),
    functions: functions.length,
    parameters: countParameters(nodes),
  };
}

/** Reads a version's folder and says what is in it; nothing is run. */
export async function inspectSavedModel(folder: string): Promise<ModelReport> {
  return report(folder, await folderBytes(folder), await readSavedModel(folder));
}
