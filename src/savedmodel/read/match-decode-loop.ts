/** @file Recognises decode loops in a graph, so that images can be decoded before the graph runs. */
import { toBinary } from "@bufbuild/protobuf";
import type { FunctionDef, GraphDef, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import { AttrValueSchema } from "../../proto/tensorflow/graph_pb.ts";
import { type DecodedSize, decodeLoopFunctions } from "../decode-loop.ts";
import { storedTensor } from "../format/tensor-proto.ts";
import type { Signature, SignatureTensor } from "../signature.ts";

/** A signature whose inputs are image files, as it is after the decoding. */
export interface DecodingSignature {
  /** The same inputs as the float images that the graph goes on with, `[-1, height, width, 3]`. */
  readonly signature: Signature;
  readonly sizes: ReadonlyMap<string, DecodedSize>;
}

/** Operators of the loop and around it; images are decoded before the graph runs, so these are not run. */
export const DECODE_OPERATORS: ReadonlySet<string> = new Set([
  "DecodeJpeg",
  "ScaleAndTranslate",
  "Size",
  "StatelessWhile",
  "TensorListFromTensor",
  "TensorListGetItem",
  "TensorListReserve",
  "TensorListSetItem",
  "TensorListStack",
]);

/** Bytes of a list of sides. */
const LARGEST_LIST = 2 ** 12;

const nodeName = (tensorName: string) => tensorName.replace(/:[0-9]+$/, "");

/** What a function computes, as text that does not depend on the names of its nodes. */
function meaningOf(definition: FunctionDef): string {
  const { inputArg = [], outputArg = [] } = definition.signature ?? {};
  const numbers = new Map(
    [...inputArg, ...definition.nodeDef].map(({ name }, number): [string, string] => [name, `#${number}`]),
  );
  const place = (reference: string) => {
    const [name = "", ...rest] = reference.split(":");
    return [numbers.get(name) ?? name, ...rest].join(":");
  };
  const steps = definition.nodeDef.map(({ op, input, attr }) => {
    const attributes = Object.entries(attr)
      .filter(([name]) => !name.startsWith("_"))
      .map(([name, value]) => `${name}=${Buffer.from(toBinary(AttrValueSchema, value)).toString("base64")}`);
    return [op, ...input.map(place), ...attributes.toSorted()].join(" ");
  });
  const results = outputArg.map(({ name, type }) => `${place(definition.ret[name] ?? "")} ${type}`);
  return [...inputArg.map(({ type }) => type), ...steps, ...results].join("\n");
}

class Loops {
  readonly #graph: GraphDef;
  readonly #nodes: ReadonlyMap<string, NodeDef>;

  constructor(graph: GraphDef) {
    this.#graph = graph;
    this.#nodes = new Map(graph.node.map((node) => [node.name, node]));
  }

  /** The value that the images of these files are stacked into, and their size. */
  imagesOf({ tensorName }: SignatureTensor): { tensorName: string; size: DecodedSize } | undefined {
    const files = nodeName(tensorName);
    const list = this.#takes("TensorListFromTensor", 0, files);
    const loop = list && this.#takes("StatelessWhile", 2, list.name);
    const stack = loop && this.#takes("TensorListStack", 0, `${loop.name}:3`);
    const [height = 0, width = 0, channels] = this.#numbers(stack?.input[1]);
    const size = { height, width };
    if (loop === undefined || stack === undefined || channels !== 3) return undefined;
    return this.#isCounted(loop, files) && this.#decodes(loop, size)
      ? { tensorName: `${stack.name}:0`, size }
      : undefined;
  }

  #takes(op: string, place: number, value: string): NodeDef | undefined {
    return this.#graph.node.find((node) => node.op === op && node.input[place] === value);
  }

  #numbers(name: string | undefined): number[] {
    const node = this.#nodes.get(name ?? "");
    const value = node?.attr.value?.value;
    if (node?.op !== "Const" || value?.case !== "tensor") return [];
    return Array.from(
      storedTensor(value.value, node.name, { maxBytes: LARGEST_LIST }).data as ArrayLike<number>,
      Number,
    );
  }

  /** Whether a loop runs from the first file to the last and makes room for as many images. */
  #isCounted(loop: NodeDef, files: string): boolean {
    const [start, count = "", , room = ""] = loop.input;
    const counter = this.#nodes.get(count);
    const reserved = this.#nodes.get(room);
    return (
      this.#numbers(start)[0] === 0 &&
      counter?.op === "Size" &&
      counter.input[0] === files &&
      reserved?.op === "TensorListReserve" &&
      reserved.input[1] === count
    );
  }

  #decodes(loop: NodeDef, size: DecodedSize): boolean {
    const ours = decodeLoopFunctions(size);
    const isSame = (attribute: string, wanted: FunctionDef) => {
      const value = loop.attr[attribute]?.value;
      const name = value?.case === "func" ? value.value.name : undefined;
      const found = this.#graph.library?.function.find(({ signature }) => signature?.name === name);
      return found !== undefined && meaningOf(found) === meaningOf(wanted);
    };
    return isSame("cond", ours.condition) && isSame("body", ours.body);
  }
}

/** The signature behind the decoding, or `undefined` where one of the inputs is anything but files of images. */
export function matchDecodeLoops(graph: GraphDef, signature: Signature): DecodingSignature | undefined {
  if (signature.inputs.size === 0 || [...signature.inputs.values()].some(({ dtype }) => dtype !== "string")) {
    return undefined;
  }
  const loops = new Loops(graph);
  const inputs = new Map<string, SignatureTensor>();
  const sizes = new Map<string, DecodedSize>();
  for (const [alias, input] of signature.inputs) {
    const found = loops.imagesOf(input);
    if (found === undefined) return undefined;
    const { tensorName, size } = found;
    inputs.set(alias, { tensorName, dtype: "float32", shape: [-1, size.height, size.width, 3] });
    sizes.set(alias, size);
  }
  return { signature: { ...signature, inputs }, sizes };
}
