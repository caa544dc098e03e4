/** @file Layers gathered into few enough boxes for a drawing: a convolution with what follows it, a residual block. */
import type { LayerDescription } from "./description.ts";

/** One box: a layer, or several in a row whose names start alike. */
export interface Group {
  readonly name: string;
  /** The class of its first layer. */
  readonly kind: string;
  /** Its classes, as people read them. */
  readonly label: string;
  /** What leaves the group. */
  readonly outputShape: readonly (number | null)[];
  readonly parameters: number;
}

/** More different classes than that are not told one by one. */
const MOST_KINDS = 3;

const SHORT: Readonly<Record<string, string>> = { BatchNormalization: "norm" };

function labelOf(layers: readonly LayerDescription[]): string {
  const [first] = layers;
  if (layers.length === 1) return first!.kind;
  const kinds = layers.map(({ kind }) => SHORT[kind] ?? kind);
  if (layers.length <= MOST_KINDS) return kinds.join(", ");
  return `${kinds.includes("Add") ? "residual block" : "block"} of ${layers.length} layers`;
}

/** The words that all names start with. */
function commonName(names: readonly string[]): string {
  const words = names.map((name) => name.split("_"));
  const different = words[0]!.findIndex((word, i) => words.some((other) => other[i] !== word));
  return words[0]!.slice(0, different < 0 ? undefined : different).join("_");
}

function gather(layers: readonly LayerDescription[]): Group {
  return {
    name: commonName(layers.map(({ name }) => name)),
    kind: layers[0]!.kind,
    label: labelOf(layers),
    outputShape: layers.at(-1)!.outputShape,
    parameters: layers.reduce((sum, { parameters }) => sum + parameters, 0),
  };
}

/** Neighbours whose names start with the same word become one group. */
export function groupLayers(layers: readonly LayerDescription[]): Group[] {
  const runs: LayerDescription[][] = [];
  for (const layer of layers) {
    const run = runs.at(-1);
    const word = layer.name.split("_")[0];
    if (run !== undefined && run[0]!.name.split("_")[0] === word) run.push(layer);
    else runs.push([layer]);
  }
  return runs.map(gather);
}
