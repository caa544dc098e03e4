/** @file Checks that a graph is legal: tests run it between passes, and each graph is checked once before it is lowered. */
import { FaceError } from "../base/errors.ts";
import { type DType, isFloat, shapeText } from "../base/tensor.ts";
import { isOp, type LoopBody, loopValues, type Node, type OpAttrs, type OpName, topological } from "./ops.ts";
import { type Kind, type OpRule, opRules, typeOf } from "./shapes.ts";

function isKind(dtype: DType, kind: Kind): boolean {
  if (kind === "any") return true;
  if (kind === "bool") return dtype === "bool";
  return kind === "float" ? isFloat(dtype) : dtype !== "bool" && dtype !== "string";
}

function nodeFault<K extends OpName>({ op, inputs, attrs, shape, dtype }: Node<K>): string | undefined {
  const known: OpRule<OpAttrs[K]> | undefined = opRules[op];
  if (known === undefined) return "there is no such op";
  if (known.inputs === "some" ? inputs.length === 0 : inputs.length !== known.inputs) {
    return `it takes ${known.inputs} inputs, has ${inputs.length}`;
  }
  const first = inputs[0];
  if (first !== undefined && !isKind(first.dtype, known.of)) {
    return `it takes ${known.of} elements, has ${first.dtype}`;
  }
  const fault = known.fault?.(attrs);
  if (fault !== undefined) return fault;
  const wanted = typeOf(op, inputs, attrs);
  const fits = wanted.dtype === dtype && shapeText(wanted.shape) === shapeText(shape);
  if (fits) return undefined;
  return `it declares ${dtype}${shapeText(shape)} but gives ${wanted.dtype}${shapeText(wanted.shape)}`;
}

/** The name of a leaf, and the declaration that all leaves of that name must share. */
function declaration(node: Node): { name: string; text: string } | undefined {
  const type = `${node.dtype}${shapeText(node.shape)}`;
  if (isOp(node, "randomUniform")) return { name: `stream ${node.attrs.stream}`, text: type };
  // Inputs and parameters share one space of names, as all of them are fed to the engine by name.
  if (isOp(node, "input") || isOp(node, "parameter")) {
    return { name: node.attrs.name, text: `${node.op} of ${type}` };
  }
  return undefined;
}

function illegal(node: Node, fault: string): FaceError {
  const label = node.label === undefined ? "" : ` (${node.label})`;
  return new FaceError("INTERNAL", `internal: illegal ${node.op}${label}: ${fault}`);
}

/**
 * Checks that a graph is legal: inputs and attributes fit the ops, every declared shape and type is what the shape rules
 * give, and leaves of one name have one declaration. Cycles cannot be built.
 * @throws FaceError `INTERNAL` naming the first illegal node, or `SHAPE_MISMATCH` from its shape rule.
 */
export function check(outputs: readonly Node[]): void {
  const declared = new Map<string, string>();
  const loops = new Set<LoopBody>();
  for (const node of topological(outputs)) {
    if (isOp(node, "loop") && !loops.has(node.attrs.body)) check(loopValues(node.attrs.body));
    if (isOp(node, "loop")) loops.add(node.attrs.body);
    const fault = nodeFault(node);
    if (fault !== undefined) throw illegal(node, fault);
    const leaf = declaration(node);
    const known = leaf && declared.get(leaf.name);
    if (leaf && known !== undefined && known !== leaf.text) {
      throw illegal(node, `${leaf.name} is declared as ${known} and as ${leaf.text}`);
    }
    if (leaf) declared.set(leaf.name, leaf.text);
  }
}
