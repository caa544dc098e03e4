/** @file A network as a table in the style of Keras, as text and as a drawing of a terminal. */
import { bytesText, countText } from "../base/log.ts";
import type { LayerDescription, ModelDescription } from "./description.ts";
import { element, round } from "./svg.ts";

const HEADINGS = ["Layer (type)", "Output Shape", "Param #", "Connected to"] as const;
const RIGHT_ALIGNED = 2;
const GAP = "   ";
const RULE = "─";

const shapeOf = ({ outputShape }: LayerDescription) =>
  `(${outputShape.map((side) => side ?? "None").join(", ")}${outputShape.length === 1 ? "," : ""})`;

/** Keras numbers the uses of a shared layer and then its outputs; our layers have one output. */
function connections({ inputs }: LayerDescription): string {
  const uses = new Map<string, number>();
  const texts = inputs.map((name) => {
    const use = uses.get(name) ?? 0;
    uses.set(name, use + 1);
    return `${name}[${use}][0]`;
  });
  return texts.join(", ");
}

function rowOf(layer: LayerDescription): string[] {
  return [`${layer.name} (${layer.kind})`, shapeOf(layer), countText(layer.parameters), connections(layer)];
}

/** The table of a network, then those of the networks within it. */
function tables(
  title: string,
  layers: readonly LayerDescription[],
  prefix = "",
): { title: string; rows: string[][] }[] {
  const nested = layers.flatMap(({ name, inner }) =>
    inner === undefined ? [] : tables(`${prefix}${name}`, inner, `${prefix}${name}/`),
  );
  return [{ title: `Model: "${title}"`, rows: layers.map(rowOf) }, ...nested];
}

const BYTES_PER_VALUE = 4;

/** Columns of the table beside those of its cells. */
const AROUND_CELLS = GAP.length * (HEADINGS.length - 1) + 2;

/** Widths of the columns: as their cells need, the widest ones narrower where that is more than there is room for. */
function columnWidths(natural: readonly number[], room: number): number[] {
  const widths = [...natural];
  const left = () => room - AROUND_CELLS - widths.reduce((sum, width) => sum + width, 0);
  while (left() < 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= HEADINGS[widest]!.length) break;
    widths[widest]!--;
  }
  return widths;
}

/** The lines of a cell, broken behind a space, a slash, a comma or an underscore where there is one. */
function cellLines(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const head = text.slice(0, width);
  const at = Math.max(...[" ", "/", ",", "_"].map((sign) => head.lastIndexOf(sign))) + 1;
  const end = at > width / 3 ? at : width;
  return [text.slice(0, end).trimEnd(), ...cellLines(text.slice(end).trimStart(), width)];
}

/**
 * The table of Keras' `model.summary()`: each layer with its output shape, parameters and inputs, a table for each network
 * within, and the totals.
 * @param room columns that the table may take, where its headings fit into them; as many as it needs when left out.
 */
export function summaryText(model: ModelDescription, room: number = Number.POSITIVE_INFINITY): string {
  const all = tables(model.name, model.layers);
  const natural = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...all.flatMap(({ rows }) => rows.map((row) => row[column]!.length))),
  );
  const widths = columnWidths(natural, room);
  const line = (cells: readonly string[]) => {
    const broken = cells.map((cell, i) => cellLines(cell, widths[i]!));
    const height = Math.max(...broken.map((lines) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      ` ${broken
        .map((lines, i) => {
          const text = lines[at] ?? "";
          return i === RIGHT_ALIGNED ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
        })
        .join(GAP)}`.trimEnd(),
    ).join("\n");
  };
  const width = widths.reduce((total, each) => total + each, 0) + AROUND_CELLS;
  const rule = RULE.repeat(width);
  const lines = all.flatMap(({ title, rows }) => [
    title,
    rule,
    line(HEADINGS),
    rule,
    ...rows.map(line),
    rule,
    "",
  ]);
  const { file } = model;
  // The weights of a file may be of another type, so that its own size is the true one.
  const total = (label: string, values: number) =>
    `${label}: ${countText(values)}${file === undefined ? ` (${bytesText(values * BYTES_PER_VALUE)})` : ""}`;
  return [
    ...lines,
    total("Total params", model.total),
    total("Trainable params", model.trainable),
    total("Non-trainable params", model.nonTrainable),
    ...(file === undefined ? [] : [`Size of ${file.name}: ${bytesText(file.bytes)}`]),
  ].join("\n");
}

/** Pixels. */
const LETTER = 8.4;
const FONT = 14;
const LEADING = 21;
const MARGIN = 24;
const TITLE_BAR = 40;

const COLOURS = {
  background: "#0d1117",
  bar: "#161b22",
  border: "#30363d",
  text: "#c9d1d9",
  bright: "#f0f6fc",
  dim: "#8b949e",
  accent: "#79c0ff",
} as const;
const BUTTONS = ["#ff5f57", "#febc2e", "#28c840"];

const isHeading = (text: string) => text.startsWith("Model:") || HEADINGS.some((heading) => heading === text);
const isCount = (text: string) => /^[\d,]+$/.test(text);

/** Text at a column of the terminal; the class of a layer is dimmed. */
function run(text: string, column: number, y: number): string {
  const x = round(MARGIN + column * LETTER);
  // Anchored at the end, so that numbers align in fonts of another width too.
  if (isCount(text)) {
    const end = round(x + text.length * LETTER);
    return element("text", { x: end, y, "text-anchor": "end", fill: COLOURS.accent }, text);
  }
  if (isHeading(text)) return element("text", { x, y, fill: COLOURS.bright, "font-weight": 700 }, text);
  const [, name, kind] = /^(\w+) (\(\w+\))$/.exec(text) ?? [];
  if (name === undefined || kind === undefined) return element("text", { x, y }, text);
  const kindAt = round(x + (name.length + 1) * LETTER);
  return (
    element("text", { x, y, fill: COLOURS.bright }, name) +
    element("text", { x: kindAt, y, fill: COLOURS.dim }, kind)
  );
}

/** One line of the terminal; rules become lines. */
function drawLine(text: string, number: number): string {
  const y = round(TITLE_BAR + MARGIN + number * LEADING + FONT / 2);
  if (text.startsWith(RULE)) {
    const middle = y - FONT / 3;
    const x2 = round(MARGIN + text.length * LETTER);
    return element("line", { x1: MARGIN, y1: round(middle), x2, y2: round(middle), stroke: COLOURS.border });
  }
  // Two or more spaces separate the columns.
  return [...text.matchAll(/\S+(?: \S+)*/g)].map((match) => run(match[0], match.index, y)).join("");
}

/** The same table as an SVG drawing of a terminal in which `command` was typed. */
export function summarySvg(
  model: ModelDescription,
  command = `faceid summary --model ${model.name}`,
): string {
  const lines = summaryText(model).split("\n");
  const longest = lines.reduce((most, { length }) => Math.max(most, length), 0);
  const width = Math.ceil(2 * MARGIN + longest * LETTER);
  const height = Math.ceil(TITLE_BAR + 2 * MARGIN + (lines.length - 0.5) * LEADING);
  const frame = { x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 10 };
  const buttons = BUTTONS.map((fill, i) => element("circle", { cx: 22 + 20 * i, cy: 20, r: 6, fill }));
  const title = { x: width / 2, y: 25, "text-anchor": "middle", fill: COLOURS.dim };
  return element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" },
    element("title", {}, `Layers of ${model.name}`),
    element("rect", { ...frame, fill: COLOURS.background, stroke: COLOURS.border }),
    element("line", { x1: 0, y1: TITLE_BAR, x2: width, y2: TITLE_BAR, stroke: COLOURS.border }),
    ...buttons,
    element(
      "g",
      {
        "font-family": "DejaVu Sans Mono, Menlo, Consolas, monospace",
        "font-size": FONT,
        fill: COLOURS.text,
      },
      element("text", title, command),
      ...lines.map(drawLine),
    ),
  );
}
