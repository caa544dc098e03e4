/** @file SVG elements as text. */

const ESCAPES = new Map(
  Object.entries({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" }),
);
/** Text as markup, SVG or HTML, shows it; also within an attribute. */
export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ESCAPES.get(character)!);

/** Rounds to a tenth of a pixel. */
export const round = (value: number): number => Math.round(value * 10) / 10;

/** Elements whose content is text rather than elements. */
const TEXTUAL: ReadonlySet<string> = new Set(["text", "title"]);

/** One element with its attributes and content. */
export function element(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...content: readonly string[]
): string {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(String(value))}"`);
  const inside = TEXTUAL.has(tag) ? escaped(content.join("")) : content.join("");
  return inside === "" ? `<${tag}${written.join("")}/>` : `<${tag}${written.join("")}>${inside}</${tag}>`;
}
