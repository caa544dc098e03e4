/** @file Parts of network drawings: groups of layers, boxes, arrows, and panels with a frame. */
import type { LayerDescription } from "./description.ts";
import { element, round } from "./svg.ts";

/** One box: a layer, or consecutive layers whose names start with the same word. */
export interface Group {
  readonly name: string;
  /** The class of its first layer. */
  readonly kind: string;
  /** Its classes, as shown. */
  readonly label: string;
  readonly outputShape: readonly (number | null)[];
  readonly parameters: number;
}

/** Most classes that a label lists. */
const MOST_KINDS = 3;

const SHORT: Readonly<Record<string, string>> = { BatchNormalization: "norm" };

function labelOf(layers: readonly LayerDescription[]): string {
  const [first] = layers;
  if (layers.length === 1) return first!.kind;
  const kinds = layers.map(({ kind }) => SHORT[kind] ?? kind);
  if (layers.length <= MOST_KINDS) return kinds.join(", ");
  return `${kinds.includes("Add") ? "residual block" : "block"} of ${layers.length} layers`;
}

/** The words that all names have in common at their start. */
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

/** Groups consecutive layers whose names start with the same word. */
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

/** Pixels. */
export const BOX = { width: 300, height: 50 } as const;
export const GAP = 24;
export const PITCH = BOX.height + GAP;

export const INK = "#1f2328";
export const FADED = "#656d76";
const ARROW = "#8c959f";
export const EDGE = "#d0d7de";

/** Colours of the classes. */
const COLOURS: Readonly<Record<string, string>> = {
  InputLayer: "#6e7781",
  Conv2D: "#0969da",
  DepthwiseConv2D: "#0969da",
  MaxPooling2D: "#1a7f37",
  BatchNormalization: "#bf8700",
  Dense: "#8250df",
  Functional: "#cf222e",
  Lambda: "#bc4c00",
  Flatten: "#57606a",
};
const OTHER = "#57606a";

export interface Place {
  readonly x: number;
  readonly y: number;
}

export const count = (value: number) => value.toLocaleString("en-US");
const shapeText = (shape: readonly (number | null)[]) => shape.slice(1).join(" × ");

/** A box: name and class on the left, output shape and parameters on the right. */
export function box({ x, y }: Place, { name, kind, label, outputShape, parameters }: Group): string {
  const colour = COLOURS[kind] ?? OTHER;
  const right = { x: x + BOX.width - 14, "text-anchor": "end" };
  const small = { y: y + 39, "font-size": 11.5, fill: FADED };
  return element(
    "g",
    {},
    element("rect", { x, y, width: BOX.width, height: BOX.height, rx: 8, fill: "#ffffff", stroke: EDGE }),
    element("path", {
      d: `M${x + 6} ${y} a6 8 0 0 0 -6 8 v${BOX.height - 16} a6 8 0 0 0 6 8 z`,
      fill: colour,
    }),
    element("text", { x: x + 18, y: y + 21, "font-weight": 700 }, name),
    element("text", { ...right, y: y + 21 }, shapeText(outputShape)),
    element("text", { x: x + 18, ...small }, label),
    parameters === 0 ? "" : element("text", { ...right, ...small }, `${count(parameters)} params`),
  );
}

/** An arrow through points. */
export function arrow(points: readonly Place[]): string {
  const d = points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join(" ");
  return element("path", {
    d,
    fill: "none",
    stroke: ARROW,
    "stroke-width": 1.6,
    "stroke-linejoin": "round",
    "marker-end": "url(#head)",
  });
}

export const below = ({ x, y }: Place, fraction = 0.5): Place => ({
  x: x + BOX.width * fraction,
  y: y + BOX.height,
});
export const above = ({ x, y }: Place, fraction = 0.5): Place => ({ x: x + BOX.width * fraction, y: y - 2 });

/** An arrow from the bottom of one box to the top of another, with a step if they are not aligned. */
export function connect(from: Place, to: Place): string {
  if (from.x === to.x) return arrow([from, to]);
  const middle = to.y - GAP / 2 - 4;
  return arrow([from, { x: from.x, y: middle }, { x: to.x, y: middle }, to]);
}

export const arrowHead = element(
  "marker",
  { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto" },
  element("path", { d: "M0 0 L8 4 L0 8 z", fill: ARROW }),
);
