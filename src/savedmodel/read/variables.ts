/** @file A model's variables: values are read from the bundle when first needed, then kept. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { FaceError } from "../../base/errors.ts";
import { shapeText, type Tensor } from "../../base/tensor.ts";
import type { MetaGraphDef } from "../../proto/tensorflow/graph_pb.ts";
import { Bundle } from "../format/bundle.ts";
import { InlinedGraph, type InlinedNode } from "./inlined-graph.ts";
import { keyFinder, OBJECT_GRAPH_KEY, parseObjectGraph } from "./variable-keys.ts";

const PREFIX = "variables/variables";

interface Store {
  readonly bundle: Bundle;
  readonly keyOf: ReturnType<typeof keyFinder>;
}

async function openStore(folder: string, meta: MetaGraphDef): Promise<Store | undefined> {
  const prefix = join(folder, PREFIX);
  const isThere = await access(`${prefix}.index`).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const bundle = await Bundle.open(prefix);
  const hasObjects = bundle.keys.has(OBJECT_GRAPH_KEY);
  const objects = hasObjects ? (await bundle.read([OBJECT_GRAPH_KEY])).get(OBJECT_GRAPH_KEY) : undefined;
  const graph = new InlinedGraph(meta.graphDef!);
  return { bundle, keyOf: keyFinder(graph, meta, parseObjectGraph(objects), bundle.keys) };
}

/** Refuses a value of another shape than its variable declares. */
function checkFit({ def, place }: InlinedNode, key: string, value: Pick<Tensor, "dtype" | "shape">): void {
  const declared = def.attr.shape?.value;
  if (declared?.case !== "shape" || declared.value.unknownRank) return;
  const sides = declared.value.dim.map(({ size }) => Number(size));
  const fits =
    sides.length === value.shape.length &&
    sides.every((side, axis) => side < 0 || side === value.shape[axis]);
  if (fits) return;
  throw new FaceError(
    "MODEL_INVALID",
    `the variable ${place} is declared as ${shapeText(sides)}, its value ${key} is ${shapeText(value.shape)}`,
  );
}

/** A model's variables. Each value is read once, however many signatures use it. */
export class Variables {
  readonly #folder: string;
  readonly #meta: MetaGraphDef;
  readonly #values = new Map<string, Tensor>();
  #store: Promise<Store | undefined> | undefined;

  constructor(folder: string, meta: MetaGraphDef) {
    this.#folder = folder;
    this.#meta = meta;
  }

  /**
   * The values of variables, by the paths of their nodes.
   * @throws FaceError `MODEL_INVALID` when one has none, or a damaged one.
   */
  async read(nodes: readonly InlinedNode[]): Promise<ReadonlyMap<string, Tensor>> {
    if (nodes.length === 0) return new Map();
    const keys = await this.#keysOf(nodes);
    const store = (await this.#store)!;
    const missing = [...new Set(keys.values())].filter((key) => !this.#values.has(key));
    for (const [key, value] of await store.bundle.read(missing)) this.#values.set(key, value);
    return new Map([...keys].map(([place, key]) => [place, this.#values.get(key)!]));
  }

  /** Elements of variables, each counted once, without reading them. */
  async count(nodes: readonly InlinedNode[]): Promise<number> {
    if (nodes.length === 0) return 0;
    const keys = new Set((await this.#keysOf(nodes)).values());
    const store = (await this.#store)!;
    return [...keys].reduce(
      (sum, key) => sum + store.bundle.entry(key).shape.reduce((product, side) => product * side, 1),
      0,
    );
  }

  async #keysOf(nodes: readonly InlinedNode[]): Promise<Map<string, string>> {
    this.#store ??= openStore(this.#folder, this.#meta);
    const store = await this.#store;
    if (store === undefined) {
      throw new FaceError(
        "MODEL_INVALID",
        `${this.#folder}: the model has ${nodes.length} variables, but no ${PREFIX}.index`,
        { hint: "copy the whole folder of the version; perhaps it is still being copied" },
      );
    }
    const keys = new Map<string, string>();
    for (const node of nodes) {
      const key = store.keyOf(node);
      if (key === undefined) {
        throw new FaceError("MODEL_INVALID", `the variable ${node.place} has no value in ${PREFIX}.index`);
      }
      checkFit(node, key, store.bundle.entry(key));
      keys.set(node.place, key);
    }
    return keys;
  }
}
