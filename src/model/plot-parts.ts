/** @file What drawings of networks are made of: boxes for layers, arrows between them, frames around them. */
import type { LayerDescription } from "./description.ts";
import type { Group } from "./layer-groups.ts";
import { element, round } from "./svg.ts";

/** Sizes in pixels. */
export const BOX = { width: 300, height: 50 } as const;
export const GAP = 24;
export const PITCH = BOX.height + GAP;
export const PANEL_PADDING = 28;
export const PANEL_HEADER = 64;
export const COLUMN_GAP = 44;

export const INK = "#1f2328";
export const FADED = "#656d76";
const ARROW = "#8c959f";
const PANEL = "#f6f8fa";
export const EDGE = "#d0d7de";

/** What colour a layer's class has. */
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

/** A layer or several: name and class on the left, output shape and parameters on the right. */
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

/** An arrow along straight lines through points. */
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

export const below = ({ x, y }: Place, share = 0.5): Place => ({
  x: x + BOX.width * share,
  y: y + BOX.height,
});
export const above = ({ x, y }: Place, share = 0.5): Place => ({ x: x + BOX.width * share, y: y - 2 });

/** From the bottom of one box to the top of another; with a step where they do not stand in line. */
export function connect(from: Place, to: Place): string {
  if (from.x === to.x) return arrow([from, to]);
  const middle = to.y - GAP / 2 - 4;
  return arrow([from, { x: from.x, y: middle }, { x: to.x, y: middle }, to]);
}

export const single = (layer: LayerDescription): Group => ({ ...layer, label: layer.kind });

/** A part of a drawing that can stand anywhere. */
export interface Panel {
  readonly width: number;
  readonly height: number;
  /** Elements, its upper left corner at a place. */
  draw(place: Place): string;
}

/** A frame with a heading, and on its right what there is to add. */
export function frame(
  place: Place,
  { width, height }: Pick<Panel, "width" | "height">,
  title: string,
  note = "",
): string {
  const heading = { x: place.x + PANEL_PADDING, y: place.y + 32, "font-size": 15, "font-weight": 700 };
  const right = { x: place.x + width - PANEL_PADDING, y: place.y + 32, "text-anchor": "end", fill: FADED };
  return (
    element("rect", { ...place, width, height, rx: 14, fill: PANEL, stroke: EDGE }) +
    element("text", heading, title) +
    (note === "" ? "" : element("text", right, note))
  );
}

/** Width of a panel of so many columns. */
export const panelWidth = (columns: number): number =>
  2 * PANEL_PADDING + columns * BOX.width + (columns - 1) * COLUMN_GAP;

/** Height of a panel of so many rows. */
export const panelHeight = (rows: number): number => PANEL_HEADER + rows * PITCH - GAP + PANEL_PADDING;

export const arrowHead = element(
  "marker",
  { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto" },
  element("path", { d: "M0 0 L8 4 L0 8 z", fill: ARROW }),
);
