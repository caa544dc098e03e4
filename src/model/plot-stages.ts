/** @file A panel of a drawing that shows how an embedding comes of several looks at an image. */
import type { LayerDescription } from "./description.ts";
import {
  above,
  arrow,
  BOX,
  below,
  box,
  COLUMN_GAP,
  connect,
  frame,
  GAP,
  PANEL_HEADER,
  PANEL_PADDING,
  type Panel,
  PITCH,
  type Place,
  panelHeight,
  panelWidth,
  single,
} from "./plot-parts.ts";

/** One look at the image: the layers from the crop to the direction, one below the other. */
export interface Look {
  /** What stands before the names of its layers. */
  readonly prefix: string;
  readonly layers: readonly LayerDescription[];
}

/** An embedding network in use. */
export interface Stages {
  readonly image: LayerDescription;
  readonly looks: readonly Look[];
  /** What joins the looks. */
  readonly rest: readonly LayerDescription[];
}

const isNetwork = ({ inner }: LayerDescription) => inner !== undefined;

/** The stages of an embedding; undefined for a network whose layers only follow each other. */
export function stagesOf({ inner = [] }: LayerDescription): Stages | undefined {
  const [image, ...layers] = inner;
  const networks = layers.filter(isNetwork);
  if (image === undefined || networks.length === 0) return undefined;
  const isView = (layer: LayerDescription) => layer.inner!.some(isNetwork);
  if (networks.length === 1 && !isView(networks[0]!)) {
    const after = layers.findIndex(isNetwork) + 2;
    return { image, looks: [{ prefix: "", layers: layers.slice(0, after) }], rest: layers.slice(after) };
  }
  // A look without a network of its own, such as that at the texture, is one box.
  const looks = networks.map((layer) =>
    isView(layer)
      ? { prefix: `${layer.name}/`, layers: layer.inner!.slice(1) }
      : { prefix: "", layers: [layer] },
  );
  return { image, looks, rest: layers.slice(networks.length) };
}

/** Where arrows meet a box, as shares of its width. */
const ends = (uses: number) => Array.from({ length: uses }, (_, i) => (i + 1) / (uses + 1));

/** How far beside a column an arrow passes its boxes. */
const ASIDE = 14;

/** An arrow that goes around the boxes between. */
function passing(from: Place, to: Place, share: number): string {
  const start = below(from, from.x === to.x ? 0.1 : 0.5);
  const end = above(to, share);
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

/** A box that arrows may start from. */
interface Standing {
  readonly name: string;
  readonly place: Place;
}

/** The arrows into a box; those that do not come from the one above pass the boxes between. */
function arrowsInto(layer: LayerDescription, place: Place, before: readonly Standing[]): string {
  const shares = ends(layer.inputs.length);
  return layer.inputs
    .map((input, i) => {
      const from = before.find(({ name }) => name === input)!;
      const isNext = from === before.at(-1);
      return isNext
        ? connect(below(from.place, from.place.x === place.x ? shares[i] : 0.5), above(place, shares[i]))
        : passing(from.place, place, shares[i]!);
    })
    .join("");
}

/** The column of one look, below the image. */
function column({ prefix, layers }: Look, image: Standing, top: Place): { drawing: string; end: Place } {
  const standing: Standing[] = [image];
  let drawing = "";
  layers.forEach((layer, row) => {
    const place = { x: top.x, y: top.y + row * PITCH };
    drawing += arrowsInto(layer, place, standing);
    drawing += box(place, { ...single(layer), name: prefix + layer.name });
    standing.push({ name: layer.name, place });
  });
  return { drawing, end: standing.at(-1)!.place };
}

function drawStages({ image, looks, rest }: Stages, { x, y }: Place): string {
  const left = x + PANEL_PADDING;
  const top = y + PANEL_HEADER;
  const columnAt = (index: number) => left + index * (BOX.width + COLUMN_GAP);
  const centre = (columnAt(0) + columnAt(looks.length - 1)) / 2;
  const imageAt = { x: centre, y: top };
  const drawn = looks.map((look, i) =>
    column(look, { name: image.name, place: imageAt }, { x: columnAt(i), y: top + PITCH }),
  );
  const longest = Math.max(...looks.map(({ layers }) => layers.length));
  const joined = rest.map((layer, row) => {
    const place = { x: centre, y: top + (1 + longest + row) * PITCH };
    const from = row === 0 ? drawn.map(({ end }) => end) : [{ x: centre, y: place.y - PITCH }];
    const shares = ends(from.length);
    const links = from.map((end, i) => connect(below(end), above(place, shares[i])));
    return links.join("") + box(place, single(layer));
  });
  return [box(imageAt, single(image)), ...drawn.map(({ drawing }) => drawing), ...joined].join("");
}

/** The looks side by side under the image, and below them what joins them. */
export function stagesPanel(title: string, stages: Stages): Panel {
  const { looks, rest } = stages;
  const rows = 1 + Math.max(...looks.map(({ layers }) => layers.length)) + rest.length;
  const size = { width: panelWidth(looks.length), height: panelHeight(rows) };
  return { ...size, draw: (place) => frame(place, size, title) + drawStages(stages, place) };
}
