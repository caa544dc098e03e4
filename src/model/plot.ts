/** @file A drawing of a network: the Siamese graph, and beside it the layers of the embedding network both images share. */
import type { LayerDescription, ModelDescription } from "./description.ts";
import { chainPanel } from "./plot-chain.ts";
import {
  above,
  arrowHead,
  BOX,
  below,
  box,
  COLUMN_GAP,
  connect,
  count,
  EDGE,
  FADED,
  INK,
  type Panel,
  type Place,
  single,
} from "./plot-parts.ts";
import { type Stages, stagesOf, stagesPanel } from "./plot-stages.ts";
import { element, round } from "./svg.ts";

/** Sizes in pixels. */
const MARGIN = 40;
const HEADER = 76;
const CALLOUT = 96;
const INPUT_GAP = 28;
/** From one box of the Siamese graph down to the next. */
const LONGEST_STEP = 150;
/** Of the Siamese graph. */
const LEAST_HEIGHT = 460;

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

/** The networks behind the looks at an image, each with weights of its own. */
function networkPanels({ looks }: Stages): Panel[] {
  return looks.flatMap(({ prefix, layers }) =>
    layers
      .filter(({ inner }) => inner !== undefined && layers.length > 1)
      .map((layer) =>
        chainPanel(prefix + layer.name, layer, layer.inputs.length > 1 ? "image and mirror image" : ""),
      ),
  );
}

/** What stands beside the Siamese graph: the embedding, and the networks within it. */
function panelsOf(embedding: LayerDescription): [Panel, ...Panel[]] {
  const title = `${embedding.name}: shared by both images`;
  const stages = stagesOf(embedding);
  return stages === undefined
    ? [chainPanel(title, embedding)]
    : [stagesPanel(title, stages), ...networkPanels(stages)];
}

/** The panels side by side. */
function inRow(panels: readonly Panel[], { x, y }: Place): { drawing: string; right: number } {
  let right = x;
  const drawings = panels.map((panel, i) => {
    const left = right + (i === 0 ? 0 : COLUMN_GAP);
    right = left + panel.width;
    return panel.draw({ x: left, y });
  });
  return { drawing: drawings.join(""), right };
}

/**
 * Draws a network. Layers that belong together, as a convolution with its normalisation or a whole block, share a box
 * where there would be too many.
 * @returns an SVG drawing.
 */
export function plotSvg(model: ModelDescription): string {
  const panels = panelsOf(model.layers.find(({ inner }) => inner !== undefined)!);
  const [first] = panels;
  const top = MARGIN + HEADER;
  const panelAt = { x: MARGIN + 2 * BOX.width + INPUT_GAP + CALLOUT, y: top };
  const graph = siameseGraph(model, { left: MARGIN, top, height: Math.max(first.height, LEAST_HEIGHT) });
  const row = inRow(panels, panelAt);
  const width = row.right + MARGIN;
  const height = top + Math.max(LEAST_HEIGHT, ...panels.map((panel) => panel.height)) + MARGIN;
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
      callout(graph.embedding, panelAt, first.height),
      row.drawing,
      graph.drawing,
    ),
  );
}
