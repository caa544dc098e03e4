/** @file A panel of a drawing that shows a network layer by layer. */
import type { LayerDescription } from "./description.ts";
import { type Group, groupLayers } from "./layer-groups.ts";
import {
  above,
  arrow,
  BOX,
  below,
  box,
  COLUMN_GAP,
  connect,
  count,
  frame,
  GAP,
  PANEL_HEADER,
  PANEL_PADDING,
  type Panel,
  PITCH,
  type Place,
  panelHeight,
  panelWidth,
} from "./plot-parts.ts";

/** Boxes in a column of the panel before it goes on in the next. */
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

/**
 * A network whose layers follow each other.
 * @param remark what its heading adds.
 */
export function chainPanel(title: string, layer: LayerDescription, remark = ""): Panel {
  const groups = groupLayers(layer.inner!);
  const used = Math.ceil(groups.length / COLUMN_LENGTH);
  const rows = Math.ceil(groups.length / used);
  const size = { width: panelWidth(used), height: panelHeight(rows) };
  const note =
    used === 1 ? remark : [remark, `${count(layer.parameters)} parameters`].filter(Boolean).join(", ");
  return { ...size, draw: (place) => frame(place, size, title, note) + columns(groups, place, rows) };
}
