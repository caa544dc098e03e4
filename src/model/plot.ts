/** @file Draws a network as SVG: the Siamese graph, and beside it the layers of the embedding network. */
import type { LayerDescription, ModelDescription } from "./description.ts";
import type { Group, Place } from "./plot-parts.ts";
import {
  above,
  arrow,
  arrowHead,
  BOX,
  below,
  box,
  connect,
  count,
  EDGE,
  FADED,
  GAP,
  groupLayers,
  INK,
  PITCH,
} from "./plot-parts.ts";
import { element, round } from "./svg.ts";

/** Pixels. */
const PANEL_PADDING = 28;
const PANEL_HEADER = 64;
const COLUMN_GAP = 44;

const PANEL = "#f6f8fa";

const single = (layer: LayerDescription): Group => ({ ...layer, label: layer.kind });

/** A part of a drawing that can be placed anywhere. */
interface Panel {
  readonly width: number;
  readonly height: number;
  /** Its elements, with the upper left corner at a place. */
  draw(place: Place): string;
}

/** A frame with a heading and a note on its right. */
function frame(
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

/** Width of a panel of a number of columns. */
const panelWidth = (columns: number): number =>
  2 * PANEL_PADDING + columns * BOX.width + (columns - 1) * COLUMN_GAP;

/** Height of a panel of a number of rows. */
const panelHeight = (rows: number): number => PANEL_HEADER + rows * PITCH - GAP + PANEL_PADDING;

/** Most boxes in a column of a panel. */
const COLUMN_LENGTH = 12;

/** The layers of a network, column by column. */
function columns(groups: readonly Group[], { x, y }: Place, rows: number): string {
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

/** A panel of a network whose layers follow each other. */
function chainPanel(title: string, layer: LayerDescription, remark = ""): Panel {
  const groups = groupLayers(layer.inner!);
  const used = Math.ceil(groups.length / COLUMN_LENGTH);
  const rows = Math.ceil(groups.length / used);
  const size = { width: panelWidth(used), height: panelHeight(rows) };
  const note =
    used === 1 ? remark : [remark, `${count(layer.parameters)} parameters`].filter(Boolean).join(", ");
  return { ...size, draw: (place) => frame(place, size, title, note) + columns(groups, place, rows) };
}

/** A member of the ensemble: the layers from crop to normalisation. */
interface Member {
  /** Prefix of the names of its layers. */
  readonly prefix: string;
  readonly layers: readonly LayerDescription[];
}

/** An embedding network at inference. */
interface Stages {
  readonly image: LayerDescription;
  readonly members: readonly Member[];
  /** The layers after the members. */
  readonly rest: readonly LayerDescription[];
}

const isNetwork = ({ inner }: LayerDescription) => inner !== undefined;

/** The stages of an embedding; undefined for a network whose layers follow each other. */
function stagesOf({ inner = [] }: LayerDescription): Stages | undefined {
  const [image, ...layers] = inner;
  const networks = layers.filter(isNetwork);
  if (image === undefined || networks.length === 0) return undefined;
  const isBackbone = (layer: LayerDescription) => layer.inner!.some(isNetwork);
  if (networks.length === 1 && !isBackbone(networks[0]!)) {
    const after = layers.findIndex(isNetwork) + 2;
    return { image, members: [{ prefix: "", layers: layers.slice(0, after) }], rest: layers.slice(after) };
  }
  // Gabor features, which have no network within, are one box.
  const members = networks.map((layer) =>
    isBackbone(layer)
      ? { prefix: `${layer.name}/`, layers: layer.inner!.slice(1) }
      : { prefix: "", layers: [layer] },
  );
  return { image, members, rest: layers.slice(networks.length) };
}

/** Ends of arrows at a box, as fractions of its width. */
const ends = (uses: number) => Array.from({ length: uses }, (_, i) => (i + 1) / (uses + 1));

/** Distance of a passing arrow from the boxes of a column. */
const ASIDE = 14;

/** An arrow around the boxes in between. */
function passing(from: Place, to: Place, fraction: number): string {
  const start = below(from, from.x === to.x ? 0.1 : 0.5);
  const end = above(to, fraction);
  const beside = to.x - ASIDE;
  const [upper, lower] = [start.y + GAP / 2 - 4, end.y - GAP / 2 - 2];
  return arrow([
    start,
    { x: start.x, y: upper },
    { x: beside, y: upper },
    { x: beside, y: lower },
    { x: end.x, y: lower },
    end,
  ]);
}

interface PlacedBox {
  readonly name: string;
  readonly place: Place;
}

function arrowsInto(layer: LayerDescription, place: Place, before: readonly PlacedBox[]): string {
  const fractions = ends(layer.inputs.length);
  return layer.inputs
    .map((input, i) => {
      const from = before.find(({ name }) => name === input)!;
      const isNext = from === before.at(-1);
      return isNext
        ? connect(
            below(from.place, from.place.x === place.x ? fractions[i] : 0.5),
            above(place, fractions[i]),
          )
        : passing(from.place, place, fractions[i]!);
    })
    .join("");
}

/** The column of one member, below the image. */
function column({ prefix, layers }: Member, image: PlacedBox, top: Place): { drawing: string; end: Place } {
  const placed: PlacedBox[] = [image];
  let drawing = "";
  layers.forEach((layer, row) => {
    const place = { x: top.x, y: top.y + row * PITCH };
    drawing += arrowsInto(layer, place, placed);
    drawing += box(place, { ...single(layer), name: prefix + layer.name });
    placed.push({ name: layer.name, place });
  });
  return { drawing, end: placed.at(-1)!.place };
}

function drawStages({ image, members, rest }: Stages, { x, y }: Place): string {
  const left = x + PANEL_PADDING;
  const top = y + PANEL_HEADER;
  const columnAt = (index: number) => left + index * (BOX.width + COLUMN_GAP);
  const centre = (columnAt(0) + columnAt(members.length - 1)) / 2;
  const imageAt = { x: centre, y: top };
  const drawn = members.map((member, i) =>
    column(member, { name: image.name, place: imageAt }, { x: columnAt(i), y: top + PITCH }),
  );
  const longest = Math.max(...members.map(({ layers }) => layers.length));
  const joined = rest.map((layer, row) => {
    const place = { x: centre, y: top + (1 + longest + row) * PITCH };
    const from = row === 0 ? drawn.map(({ end }) => end) : [{ x: centre, y: place.y - PITCH }];
    const fractions = ends(from.length);
    const links = from.map((end, i) => connect(below(end), above(place, fractions[i])));
    return links.join("") + box(place, single(layer));
  });
  return [box(imageAt, single(image)), ...drawn.map(({ drawing }) => drawing), ...joined].join("");
}

/** A panel of the members side by side, and the layers after them. */
function stagesPanel(title: string, stages: Stages): Panel {
  const { members, rest } = stages;
  const rows = 1 + Math.max(...members.map(({ layers }) => layers.length)) + rest.length;
  const size = { width: panelWidth(members.length), height: panelHeight(rows) };
  return { ...size, draw: (place) => frame(place, size, title) + drawStages(stages, place) };
}

/** Pixels. */
const MARGIN = 40;
const HEADER = 76;
const CALLOUT = 96;
const INPUT_GAP = 28;
/** Largest distance between boxes of the Siamese graph. */
const LONGEST_STEP = 150;
/** Smallest height of the Siamese graph. */
const LEAST_HEIGHT = 460;
/** Smallest width of a drawing, for its heading. */
const LEAST_WIDTH = 720;

/** Dashed lines from the embedding's box to the panel. */
function callout({ x, y }: Place, panelAt: Place, height: number): string {
  const right = x + BOX.width;
  const line = (y1: number, y2: number) =>
    element("line", { x1: right, y1, x2: panelAt.x, y2, stroke: EDGE, "stroke-dasharray": "5 4" });
  return line(y + 4, panelAt.y + 14) + line(y + BOX.height - 4, panelAt.y + height - 14);
}

/** The two images, the shared embedding, and the head. */
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

/** The panels of the backbones. */
function networkPanels({ members }: Stages): Panel[] {
  return members.flatMap(({ prefix, layers }) =>
    layers
      .filter(({ inner }) => inner !== undefined && layers.length > 1)
      .map((layer) =>
        chainPanel(prefix + layer.name, layer, layer.inputs.length > 1 ? "image and mirror image" : ""),
      ),
  );
}

/** The panels beside the Siamese graph: the embedding and its backbones. */
function panelsOf(embedding: LayerDescription): [Panel, ...Panel[]] {
  const title = `${embedding.name}: shared by both images`;
  const stages = stagesOf(embedding);
  return stages === undefined
    ? [chainPanel(title, embedding)]
    : [stagesPanel(title, stages), ...networkPanels(stages)];
}

function inRow(panels: readonly Panel[], { x, y }: Place): { drawing: string; right: number } {
  let right = x;
  const drawings = panels.map((panel, i) => {
    const left = right + (i === 0 ? 0 : COLUMN_GAP);
    right = left + panel.width;
    return panel.draw({ x: left, y });
  });
  return { drawing: drawings.join(""), right };
}

/** The layers of a model that is one graph, as those of one layer. */
const functional = ({ name, layers, total }: ModelDescription): LayerDescription => ({
  name,
  kind: "Functional",
  outputShape: layers.at(-1)!.outputShape,
  parameters: total,
  trainableParameters: 0,
  inputs: [],
  inner: layers,
});

function svgOf(
  model: ModelDescription,
  { width, height, drawing }: { readonly width: number; readonly height: number; readonly drawing: string },
): string {
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
      drawing,
    ),
  );
}

/** Draws a network as SVG. Layers that belong together, such as a convolution and its normalisation, share a box. */
export function plotSvg(model: ModelDescription): string {
  const top = MARGIN + HEADER;
  const embedding = model.layers.find(({ inner }) => inner !== undefined);
  if (embedding === undefined) {
    const panel = chainPanel("the parts of its graph, in order", functional(model));
    return svgOf(model, {
      width: Math.max(2 * MARGIN + panel.width, LEAST_WIDTH),
      height: top + panel.height + MARGIN,
      drawing: panel.draw({ x: MARGIN, y: top }),
    });
  }
  const panels = panelsOf(embedding);
  const [first] = panels;
  const panelAt = { x: MARGIN + 2 * BOX.width + INPUT_GAP + CALLOUT, y: top };
  const graph = siameseGraph(model, { left: MARGIN, top, height: Math.max(first.height, LEAST_HEIGHT) });
  const row = inRow(panels, panelAt);
  const width = row.right + MARGIN;
  const height = top + Math.max(LEAST_HEIGHT, ...panels.map((panel) => panel.height)) + MARGIN;
  return svgOf(model, {
    width,
    height,
    drawing: callout(graph.embedding, panelAt, first.height) + row.drawing + graph.drawing,
  });
}
