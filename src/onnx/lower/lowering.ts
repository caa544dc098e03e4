/** @file The state of a lowering: which ONNX values hold a node, in which order of axes, and what may be fused. */
import { FaceError } from "../../base/errors.ts";
import { arrayOf, type NumericDType, sizeOf, stridesOf, type Tensor } from "../../base/tensor.ts";
import { isOp, type Node, type OpName, type SymbolicShape, topological } from "../../graph/ops.ts";
import { BLOCKED, ModelBuilder, type NodeOptions } from "./model-builder.ts";

/** Physical axis i holds logical axis `perm[i]`. Only tensors of rank 4 are kept in another order than their own. */
export type Perm = readonly number[];
/** The runtime's order of axes for images: batch, channels, height, width. */
export const NCHW: Perm = [0, 3, 1, 2];
/** The runtime's order of axes for kernels: out, in, height, width. */
export const OIHW: Perm = [3, 2, 0, 1];
/** The graph's order. */
export const PLAIN: Perm = [0, 1, 2, 3];
/**
 * Batch, blocks of channels, height, width, channels of a block: the layout of the runtime's fastest operators. A block is
 * as wide as the processor's registers; only those operators know the width.
 */
export const BLOCKS: Perm = [0, 3, 1, 2, 3];

const keyOf = (perm: Perm) => perm.join("");

/** Where logical axis `axis` lies physically. */
export const physicalAxis = (perm: Perm, axis: number): number => perm.indexOf(axis);

/** Where an axis of a value lies; only tensors of rank 4 have axes in another order. */
export const placeOf = ({ shape }: Node, perm: Perm, axis: number): number =>
  shape.length === 4 ? physicalAxis(perm, axis) : axis;

/** One entry per logical axis → one per physical axis. */
export function permuted<T>(perm: Perm, entries: readonly T[]): T[] {
  return perm.map((axis) => entries[axis]!);
}

/** Reorders the axes of a tensor held in memory. */
export function permuteTensor(value: Tensor, perm: Perm): Tensor {
  const shape = permuted(perm, value.shape);
  const from = permuted(perm, stridesOf(value.shape));
  const source = value.data as Float32Array;
  const Elements = arrayOf(value.dtype as NumericDType);
  const target = new Elements(sizeOf(shape)) as Float32Array;
  const [s0, s1, s2, s3] = from as [number, number, number, number];
  const [d0, d1, d2, d3] = shape as [number, number, number, number];
  let at = 0;
  for (let a = 0; a < d0; a++)
    for (let b = 0; b < d1; b++)
      for (let c = 0; c < d2; c++) {
        let i = a * s0 + b * s1 + c * s2;
        for (let d = 0; d < d3; d++, i += s3) target[at++] = source[i]!;
      }
  return { dtype: value.dtype, shape, data: target } as Tensor;
}

/** The permutation that undoes another. */
export const inverse = (perm: Perm): Perm => perm.map((_, axis) => perm.indexOf(axis));

export interface LowerSettings {
  /** Whether ONNX Runtime's own operators may be used where they are faster. */
  readonly runtimeOps: boolean;
  /** Whether convolutions and pools may use the runtime's blocked operators. */
  readonly blockedOps: boolean;
  /** Whether the operators are ordered for the least memory in a run. */
  readonly savesMemory: boolean;
  /** Other names of inputs in the model, by their own. */
  readonly inputNames: ReadonlyMap<string, string>;
}

/** The values that hold a node's parts, then, round by round, the results of combining pairs. */
type Rounds = readonly (readonly string[])[];

/** What a lowering rule works with: it asks for inputs in an order of axes and defines its node's value. */
export class Lowering {
  readonly model: ModelBuilder;
  readonly settings: LowerSettings;
  readonly #values = new Map<Node, Map<string, { name: string; perm: Perm }>>();
  readonly #derived = new Map<Node, Map<string, string>>();
  readonly #consumers = new Map<Node, Node[]>();
  readonly #outputs: ReadonlySet<Node>;
  /** Nodes that were merged into their consumer and have no value of their own. */
  readonly #absorbed = new Set<Node>();
  readonly #parts = new Map<Node, Rounds>();

  readonly #shared = new Map<object, { inputs: readonly Node[]; values: readonly string[] }[]>();

  /** @param model the model, or a graph within it, to add operators to. */
  constructor(
    order: readonly Node[],
    outputs: readonly Node[],
    settings: LowerSettings,
    model: ModelBuilder = new ModelBuilder(),
  ) {
    this.settings = settings;
    this.model = model;
    this.#outputs = new Set(outputs);
    for (const node of order) {
      for (const input of node.inputs) {
        const list = this.#consumers.get(input);
        if (list === undefined) this.#consumers.set(input, [node]);
        else list.push(node);
      }
    }
  }

  /** What an input is called in the model. */
  inputName({ attrs }: Node<"input">): string {
    return this.settings.inputNames.get(attrs.name) ?? attrs.name;
  }

  /** The lowering of a graph of its own, whose operators are added to a model or a graph within it. */
  within(outputs: readonly Node[], model: ModelBuilder): Lowering {
    return new Lowering(topological(outputs), outputs, this.settings, model);
  }

  /** Values made once for all nodes that share something and their inputs. */
  shared(thing: object, inputs: readonly Node[], make: () => readonly string[]): readonly string[] {
    const known = this.#shared.get(thing) ?? [];
    const same = known.find((each) => each.inputs.every((input, i) => input === inputs[i]));
    const values = same?.values ?? make();
    if (same === undefined) this.#shared.set(thing, [...known, { inputs, values }]);
    return values;
  }

  consumers(node: Node): readonly Node[] {
    return this.#consumers.get(node) ?? [];
  }

  /** The only consumer of a node that is no output, so that the two can be merged. */
  onlyConsumer(node: Node): Node | undefined {
    const consumers = this.consumers(node);
    return consumers.length === 1 && !this.#outputs.has(node) ? consumers[0] : undefined;
  }

  /** Declares that a value of the model holds this node, in the given order of axes. */
  define(node: Node, name: string, perm: Perm = PLAIN): void {
    const known = this.#values.get(node) ?? new Map();
    known.set(keyOf(perm), { name, perm });
    this.#values.set(node, known);
  }

  isDefined(node: Node): boolean {
    return this.#values.has(node);
  }

  /** Declares that a node was merged into its only consumer and needs no value. */
  absorb(node: Node): void {
    this.#absorbed.add(node);
  }

  /** Declares that several values of the model hold parts of a node; its consumers must ask for them. */
  defineParts(node: Node, rounds: Rounds): void {
    this.#parts.set(node, rounds);
  }

  /** The values that hold the parts of a node, if it is held in parts. */
  parts(node: Node): Rounds | undefined {
    return this.#parts.get(node);
  }

  /** Whether a node is already lowered. */
  isDone(node: Node): boolean {
    return this.isDefined(node) || this.#absorbed.has(node) || this.#parts.has(node);
  }

  /** Whether a node is an output of the model, which needs a value in one piece. */
  isOutput(node: Node): boolean {
    return this.#outputs.has(node);
  }

  /** Every order of axes in which a node has a value; a node that has blocked values only counts as NCHW. */
  orders(node: Node): Perm[] {
    const known = [...(this.#values.get(node)?.values() ?? [])].map((value) => value.perm);
    const orders = known.filter((perm) => perm !== BLOCKS);
    return orders.length === 0 && known.length > 0 ? [NCHW] : orders;
  }

  /** Whether a node has a blocked value. */
  isBlocked(node: Node): boolean {
    return this.#values.get(node)?.has(keyOf(BLOCKS)) ?? false;
  }

  /** The value that holds a node in the wanted order of axes; if there is none, one is transposed once. */
  value(node: Node, perm: Perm = PLAIN): string {
    const known = this.#values.get(node);
    const first = known?.values().next().value;
    if (known === undefined || first === undefined) {
      throw new FaceError("INTERNAL", `internal: ${node.op} was asked for before it was lowered`);
    }
    if (node.shape.length !== 4) return first.name;
    const ready = known.get(keyOf(perm));
    if (ready !== undefined && ready.name !== "") return ready.name;
    const name = perm === BLOCKS ? this.#intoBlocks(node) : this.#reordered(node, perm);
    known.set(keyOf(perm), { name, perm });
    return name;
  }

  /** A value derived from a node that several rules need, made once. */
  derived(node: Node, what: string, make: () => string): string {
    const known = this.#derived.get(node) ?? new Map<string, string>();
    this.#derived.set(node, known);
    const name = known.get(what) ?? make();
    known.set(what, name);
    return name;
  }

  #intoBlocks(node: Node): string {
    return this.emit(node, "ReorderInput", [this.value(node, NCHW)], {}, BLOCKED);
  }

  #reordered(node: Node, perm: Perm): string {
    const stored = this.storedValue(node);
    if (stored !== undefined) {
      const shape = permuted(perm, stored.shape);
      const make = () => permuteTensor(stored, perm);
      return this.model.initializerOf(stored.dtype, shape, make, node.label ?? node.op);
    }
    const known = [...this.#values.get(node)!.values()];
    const from = known.find((value) => value.perm !== BLOCKS);
    if (from === undefined && perm === NCHW) {
      const channels = Number(node.shape[3]);
      return this.emit(node, "ReorderOutput", [known[0]!.name], { channels }, BLOCKED);
    }
    const [name, order] = from === undefined ? [this.value(node, NCHW), NCHW] : [from.name, from.perm];
    const moves = perm.map((axis) => physicalAxis(order, axis));
    return this.model.node("Transpose", [name], { attributes: { perm: moves }, label: node.label });
  }

  /** The tensor of a constant. */
  storedValue(node: Node): Tensor | undefined {
    return isOp(node, "constant") ? node.attrs.value : undefined;
  }

  /** Adds a constant or a parameter to the model when it is first needed; returns its value. */
  leaf(node: Node): string {
    if (this.isDefined(node)) return this.value(node);
    const stored = this.storedValue(node);
    if (stored !== undefined) {
      // Rank-4 tensors are stored only in the orders that rules ask for.
      this.define(node, node.shape.length === 4 ? "" : this.model.initializer(stored, node.label ?? node.op));
    } else if (isOp(node, "parameter")) {
      const { name, shape, dtype } = node.attrs;
      const perm = shape.length === 4 ? OIHW : PLAIN;
      const physical = shape.length === 4 ? permuted(perm, shape) : shape;
      this.define(node, this.model.input(`parameter/${name}`, dtype, physical), perm);
    }
    return node.shape.length === 4 ? "" : this.value(node);
  }

  /** The order of axes that needs the fewest transpositions for an element-by-element op of several nodes. */
  commonOrder(nodes: readonly Node[]): Perm {
    const images = nodes.filter((node) => node.shape.length === 4 && this.storedValue(node) === undefined);
    const [first] = images.toSorted((a, b) => knownSize(b.shape) - knownSize(a.shape));
    const orders = first === undefined ? [] : this.orders(first);
    return orders.find((perm) => keyOf(perm) !== keyOf(PLAIN)) ?? PLAIN;
  }

  /** The order for an element-by-element op; blocks if its inputs are blocked images of one shape. */
  elementOrder(node: Node): Perm {
    if (node.shape.length !== 4) return PLAIN;
    const images = node.inputs.filter(({ shape }) => shape.length > 0);
    const order = this.commonOrder(images);
    const fits = images.every(
      (image) => image.shape.join() === node.shape.join() && this.storedValue(image) === undefined,
    );
    const isFloat = [node, ...node.inputs].every(({ dtype }) => dtype === "float32");
    const missing = (isThere: (image: Node) => boolean) => images.filter((image) => !isThere(image)).length;
    const copies = missing((image) => this.#values.get(image)?.has(keyOf(order)) ?? false);
    return fits && isFloat && missing((image) => this.isBlocked(image)) <= copies ? BLOCKS : order;
  }

  /** A value that broadcasts against rank-4 tensors in the given order of axes. */
  broadcastable(node: Node, perm: Perm): string {
    const rank = node.shape.length;
    if (rank === 4) return this.value(node, perm);
    if (rank === 0 || keyOf(perm) === keyOf(PLAIN) || node.shape.every((dim) => dim === 1))
      return this.value(node);
    const aligned: SymbolicShape = [...new Array<number>(4 - rank).fill(1), ...node.shape];
    if (aligned.filter((dim) => dim !== 1).length === 1) {
      const shape = permuted(perm, aligned).map((dim) => (dim === 1 ? 1 : -1));
      return this.model.node("Reshape", [this.value(node), this.model.ints(shape)], { label: node.label });
    }
    const axes = aligned.slice(0, 4 - rank).map((_, axis) => axis);
    const lifted = this.model.node("Unsqueeze", [this.value(node), this.model.ints(axes)]);
    return this.model.node("Transpose", [lifted], { attributes: { perm: [...perm] } });
  }

  /** Adds an operator for a node, named after it. */
  emit(
    node: Node,
    op: string,
    inputs: readonly string[],
    attributes: NodeOptions["attributes"] = {},
    domain = "",
  ): string {
    return this.model.node(op, inputs, { attributes, domain, label: node.label });
  }

  /** Has a value computed before its consumers are due, where it is smaller than the values that it is made of. */
  early(node: Node, value: string): string {
    // Nothing waits for this corner, so that the runtime may compute it, and with it the value, at once.
    const corner = [value, this.model.ints([0, 0, 0, 0]), this.model.ints([1, 1, 1, 1])];
    if (this.settings.savesMemory) this.emit(node, "Slice", corner);
    return value;
  }

  /** Adds a Reshape of a value to these sides. */
  reshaped(node: Node, value: string, shape: readonly number[]): string {
    return this.emit(node, "Reshape", [value, this.model.ints(shape)]);
  }

  /** Adds the operator whose output is a node's value, in the given order of axes. */
  result(
    node: Node,
    order: Perm,
    op: string,
    inputs: readonly string[],
    attributes: NodeOptions["attributes"] = {},
    domain = "",
  ): void {
    this.define(node, this.emit(node, op, inputs, attributes, domain), order);
  }
}

/** How nodes of one op are lowered. */
export type Rule<K extends OpName> = (node: Node<K>, lowering: Lowering) => void;

function knownSize(shape: SymbolicShape): number {
  return shape.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : 1), 1);
}
