/** @file Content to write a model again that was read: frozen, with its decode loops. */
import { DataType } from "../../proto/tensorflow/tensor_pb.ts";
import { storedTensor } from "../format/tensor-proto.ts";
import { matchDecodeLoops } from "../read/match-decode-loop.ts";
import type { CallableModel } from "../read/read.ts";
import type { Signature } from "../signature.ts";
import { halved } from "./graph-writer.ts";
import type { SavedModelContent, SignatureGraph } from "./write.ts";

const VARIABLE_OPS: ReadonlySet<string> = new Set(["VarHandleOp", "VariableV2", "Variable"]);

/** Whether a SavedModel has variables or constants that `weights: "float16"` would store in half the room. */
export function canBeHalved({ graph }: Pick<CallableModel, "graph">): boolean {
  if (graph === undefined) return true;
  const functions = graph.library?.function ?? [];
  return [graph.node, ...functions.map(({ nodeDef }) => nodeDef)].flat().some(({ name, op, attr }) => {
    if (VARIABLE_OPS.has(op)) return true;
    const value = op === "Const" ? attr.value?.value : undefined;
    if (value?.case !== "tensor" || value.value.dtype !== DataType.DT_FLOAT) return false;
    return halved(storedTensor(value.value, name)) !== undefined;
  });
}

/** Unique names for the inputs of all signatures: an alias that names another value already gets a prefix. */
class InputNames {
  readonly #owners = new Map<string, string>();

  nameOf(signature: string, alias: string, tensorName: string): string {
    const owner = this.#owners.get(alias) ?? tensorName;
    if (owner !== tensorName) return `${signature}_${alias}`;
    this.#owners.set(alias, owner);
    return alias;
  }
}

async function graphOf(model: CallableModel, name: string, names: InputNames): Promise<SignatureGraph> {
  const declared = model.signatures.get(name)!;
  const decoding = model.graph && matchDecodeLoops(model.graph, declared);
  const { inputs } = decoding?.signature ?? declared;
  const named = [...inputs].map(
    ([alias, input]) => [alias, names.nameOf(name, alias, input.tensorName), input] as const,
  );
  const renamed: Signature = {
    ...declared,
    inputs: new Map(named.map(([, unique, input]) => [unique, input])),
  };
  const program = await model.program(name, renamed);
  return {
    inputs: Object.fromEntries(named.map(([alias, unique]) => [alias, program.inputs[unique]!])),
    outputs: program.outputs,
    decodesImages: decoding !== undefined,
  };
}

/**
 * All signatures of a model for `writeSavedModel`, variables as the constants they were read as.
 * @throws FaceError `MODEL_UNSUPPORTED` when one of them uses operations that cannot be read.
 */
export async function contentOf(model: CallableModel): Promise<SavedModelContent> {
  const names = new InputNames();
  const signatures: Record<string, SignatureGraph> = {};
  for (const name of model.signatures.keys()) signatures[name] = await graphOf(model, name, names);
  return { signatures, parameters: new Map() };
}
