/** @file A drawing of a network: the Siamese graph, and beside it the layers of the embedding network both images share. */
import type { LayerDescription, ModelDescription } from "./description.ts";
import { type Group, groupLayers } from "./layer-groups.ts";
import { element, round } from "./svg.ts";

/** Sizes in pixels. */
const BOX = { width: 300, height: 50 } as const;
const GAP = 24;
const PITCH = BOX.height + GAP;
const MARGIN = 40;
const HEADER = 76;
const PANEL_PADDING = 28;
const PANEL_HEADER = 64;
const COLUMN_GAP = 44;
const CALLOUT = 96;
const INPUT_GAP = 28;
/** From one box of the Siamese graph down to the next. */
const LONGEST_STEP = 150;
/** Boxes in a column of the panel before it goes on in the next. */
const COLUMN_LENGTH = 12;

const INK = "#1f2328";
const FADED = "#656d76";
const ARROW = "#8c959f";
const PANEL = "#f6f8fa";
const EDGE = "#d0d7de";

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

interface Place {
  readonly x: number;
  readonly y: number;
}

const count = (value: number) => value.toLocaleString("en-US");
const shapeText = (shape: readonly (number | null)[]) => shape.slice(1).join(" × ");

/** A layer or several: name and class on the left, output shape and parameters on the right. */
function box({ x, y }: Place, { name, kind, label, outputShape, parameters }: Group): string {
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
function arrow(points: readonly Place[]): string {
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

const below = ({ x, y }: Place, share = 0.5): Place => ({ x: x + BOX.width * share, y: y + BOX.height });
const above = ({ x, y }: Place, share = 0.5): Place => ({ x: x + BOX.width * share, y: y - 2 });

/** From the bottom of one box to the top of another; with a step where they do not stand in line. */
function connect(from: Place, to: Place): string {
  if (from.x === to.x) return arrow([from, to]);
  const middle = to.y - GAP / 2 - 4;
  return arrow([from, { x: from.x, y: middle }, { x: to.x, y: middle }, to]);
}

/** The layers of the embedding network, column by column. */
function panel(groups: readonly Group[], { x, y }: Place, rows: number): string {
  const places = groups.map((_, i) => ({
    x: x + PANEL_PADDING + Math.floor(i / rows) * (BOX.width + COLUMN_GAP),
    y: y + PANEL_HEADER + (i % rows) * PITCH,
  }));
  const links = places.slice(1).map((place, i) => {
    const before = places[i]!;
    if (before.x === place.x) return connect(below(before), above(place));
    const between = place.x - COLUMN_GAP / 2;
    const [bottom, top] = [before.y + BOX.height + GAP / 2, place.y - GAP / 2 - 4];
    const start = below(before);
    return arrow([
      start,
      { x: start.x, y: bottom },
      { x: between, y: bottom },
      { x: between, y: top },
      { x: place.x + BOX.width / 2, y: top },
      above(place),
    ]);
  });
  return links.join("") + groups.map((group, i) => box(places[i]!, group)).join("");
}

const single = (layer: LayerDescription): Group => ({ ...layer, label: layer.kind });

interface Tower {
  readonly layer: LayerDescription;
  readonly groups: readonly Group[];
}

/** The panel's frame and heading around the layers. */
function framed({ layer, groups }: Tower, place: Place, rows: number, height: number): string {
  const columns = Math.ceil(groups.length / rows);
  const width = 2 * PANEL_PADDING + columns * BOX.width + (columns - 1) * COLUMN_GAP;
  const heading = { x: place.x + PANEL_PADDING, y: place.y + 32, "font-size": 15, "font-weight": 700 };
  const totals = {
    x: place.x + width - PANEL_PADDING,
    y: place.y + 32,
    "text-anchor": "end",
    fill: FADED,
  };
  return (
    element("rect", { ...place, width, height, rx: 14, fill: PANEL, stroke: EDGE }) +
    element("text", heading, `${layer.name}: shared by both images`) +
    (columns === 1 ? "" : element("text", totals, `${count(layer.parameters)} parameters`)) +
    panel(groups, place, rows)
  );
}

/** Dashed lines that open the embedding's box into the panel. */
function callout({ x, y }: Place, panelAt: Place, height: number): string {
  const right = x + BOX.width;
  const line = (y1: number, y2: number) =>
    element("line", { x1: right, y1, x2: panelAt.x, y2, stroke: EDGE, "stroke-dasharray": "5 4" });
  return line(y + 4, panelAt.y + 14) + line(y + BOX.height - 4, panelAt.y + height - 14);
}

/** The graph of the two images, the embedding they share, and the layers that compare. */
function siameseGraph(
  model: ModelDescription,
  { left, top, height }: { left: number; top: number; height: number },
): { drawing: string; embedding: Place } {
  const inputs = model.layers.filter(({ kind }) => kind === "InputLayer");
  const chain = model.layers.filter(({ kind }) => kind !== "InputLayer");
  const centre = left + (inputs.length * (BOX.width + INPUT_GAP) - INPUT_GAP - BOX.width) / 2;
  const step = Math.min((height - BOX.height) / chain.length, LONGEST_STEP);
  const inputPlaces = inputs.map((_, i) => ({ x: left + i * (BOX.width + INPUT_GAP), y: top }));
  const places = chain.map((_, i) => ({ x: centre, y: round(top + (i + 1) * step) }));
  /** Both images go through the shared network side by side. */
  const sides = [1 / 3, 2 / 3];
  const [embedding, distance] = places as [Place, Place];
  const links = [
    ...inputPlaces.map((place, i) => connect(below(place), above(embedding, sides[i]))),
    ...sides.map((side) => connect(below(embedding, side), above(distance, side))),
    ...places.slice(2).map((place, i) => connect(below(places[i + 1]!), above(place))),
  ];
  const boxes = [
    ...inputs.map((layer, i) => box(inputPlaces[i]!, single(layer))),
    ...chain.map((layer, i) => box(places[i]!, single(layer))),
  ];
  return { drawing: [...links, ...boxes].join(""), embedding };
}

function heading(model: ModelDescription): string {
  const facts = `${count(model.total)} parameters, ${count(model.trainable)} trainable; output shapes are per image`;
  return (
    element("text", { x: MARGIN, y: MARGIN + 8, "font-size": 22, "font-weight": 700 }, model.name) +
    element("text", { x: MARGIN, y: MARGIN + 32, fill: FADED }, facts)
  );
}

const arrowHead = element(
  "marker",
  { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto" },
  element("path", { d: "M0 0 L8 4 L0 8 z", fill: ARROW }),
);

/**
 * Draws a network. Layers that belong together, as a convolution with its normalisation or a whole block, share a box
 * where there would be too many.
 * @returns an SVG drawing.
 */
export function plotSvg(model: ModelDescription): string {
  const layer = model.layers.find(({ inner }) => inner !== undefined)!;
  const tower = { layer, groups: groupLayers(layer.inner!) };
  const columns = Math.ceil(tower.groups.length / COLUMN_LENGTH);
  const rows = Math.ceil(tower.groups.length / columns);
  const panelHeight = PANEL_HEADER + rows * PITCH - GAP + PANEL_PADDING;
  const top = MARGIN + HEADER;
  const panelAt = { x: MARGIN + 2 * BOX.width + INPUT_GAP + CALLOUT, y: top };
  const graph = siameseGraph(model, { left: MARGIN, top, height: panelHeight });
  const panelWidth = 2 * PANEL_PADDING + columns * BOX.width + (columns - 1) * COLUMN_GAP;
  const width = panelAt.x + panelWidth + MARGIN;
  const height = top + panelHeight + MARGIN;
  return element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" },
    element("title", {}, `The network ${model.name}`),
    element("defs", {}, arrowHead),
    element("rect", { width, height, fill: "#ffffff" }),
    element(
      "g",
      { "font-family": "Inter, Helvetica, Arial, DejaVu Sans, sans-serif", "font-size": 13, fill: INK },
      heading(model),
      callout(graph.embedding, panelAt, panelHeight),
      framed(tower, panelAt, rows, panelHeight),
      graph.drawing,
    ),
  );
}
