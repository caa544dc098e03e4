/** @file A picture of clusters: a row for each, with its first faces and how many there are. */
import { rasterizeSvg } from "../image/decode.ts";
import { element } from "../model/svg.ts";

export interface SheetRow {
  readonly title: string;
  /** JPEG files in base64. */
  readonly crops: readonly string[];
}

/** Rows and faces of a row that are drawn. */
const [ROWS, FACES] = [60, 12];
/** Pixels. */
const [SIDE, GAP, TITLE, MARGIN] = [96, 6, 22, 16];
const FONT = "Inter, Helvetica, Arial, DejaVu Sans, sans-serif";

/** Draws the first rows as a PNG file. */
export async function clusterSheet(rows: readonly SheetRow[]): Promise<Uint8Array> {
  const shown = rows.slice(0, ROWS);
  const rest = rows.length - shown.length;
  const step = TITLE + SIDE + MARGIN;
  const width = 2 * MARGIN + FACES * (SIDE + GAP);
  const height = 2 * MARGIN + shown.length * step + (rest > 0 ? TITLE : 0);
  const text = (words: string, y: number) =>
    element("text", { x: MARGIN, y, fill: "#1d1d1f", "font-family": FONT, "font-size": 14 }, words);
  const parts = shown.flatMap(({ title, crops }, row) => {
    const top = MARGIN + row * step;
    const more = crops.length > FACES ? `, the first ${FACES}` : "";
    const images = crops.slice(0, FACES).map((crop, i) =>
      element("image", {
        x: MARGIN + i * (SIDE + GAP),
        y: top + TITLE,
        width: SIDE,
        height: SIDE,
        href: `data:image/jpeg;base64,${crop}`,
      }),
    );
    return [text(`${title}${more}`, top + TITLE - 7), ...images];
  });
  const end = rest > 0 ? [text(`and ${rest} more people`, height - MARGIN)] : [];
  const paper = element("rect", { width, height, fill: "#f4f4f2" });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${[paper, ...parts, ...end].join("")}</svg>`;
  return await rasterizeSvg(svg, { width });
}
