/** @file HTML as tagged templates that escape text, and the parts of the report page. */

import { escaped } from "../model/svg.ts";

/** HTML that needs no escaping. */
export class Html {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

type Part = string | number | Html | readonly Html[] | undefined;

function sourceOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.source;
  if (typeof part === "object") return part.map(({ source }) => source).join("");
  return escaped(String(part));
}

/** A template of HTML: text is escaped, lists are joined, undefined is left out. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(sourceOf)));
}

/** A section of the page with its heading. */
export const section = (title: string, ...content: readonly Html[]) =>
  html`<section><h2>${title}</h2>${content}</section>`;

/**
 * A chart with its caption.
 * @param svg trusted, so it is not escaped.
 */
export const figure = (svg: string, caption: string) =>
  html`<figure>${new Html(svg)}<figcaption>${caption}</figcaption></figure>`;

/** A table whose first column names the row. Wide ones scroll, also by keyboard. */
export function table(
  label: string,
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): Html {
  const cells = ([name, ...rest]: readonly string[]) =>
    html`<tr><th scope="row">${name}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table>
<thead><tr>${headings.map((heading) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>${rows.map(cells)}</tbody></table></div>`;
}
