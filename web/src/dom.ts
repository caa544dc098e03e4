/** @file Makes elements. Text goes in as text, never as HTML. */

type Child = Node | string | false | undefined;
type Value = string | number | boolean | undefined | ((event: never) => unknown);
export type Attributes = Readonly<Record<string, Value>>;

const SVG = "http://www.w3.org/2000/svg";

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
}

/** An element of HTML; functions among the attributes listen to the event of that name. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/** An element of SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  fill(element, attributes, children);
  return element;
}

/** A symbol of a line drawing beside a word. */
export function icon(name: keyof typeof ICONS): SVGSVGElement {
  return s(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    s("path", { d: ICONS[name] }),
  );
}

const ICONS = {
  compare: "M4 5h7v14H4zM13 5h7v14h-7zM7.500 9.500v.01M16.500 9.500v.01",
  people:
    "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c0-3.500 2.900-6 6.500-6s6.500 2.500 6.500 6M16 4.300a3.500 3.500 0 0 1 0 6.400M18.500 14.600c1.900.9 3 2.900 3 5.400",
  who: "M4 8V5.500A1.500 1.500 0 0 1 5.500 4H8M16 4h2.500A1.500 1.500 0 0 1 20 5.500V8M20 16v2.500a1.500 1.500 0 0 1-1.500 1.500H16M8 20H5.500A1.500 1.500 0 0 1 4 18.500V16M12 13a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8 17c.6-1.600 2.100-2.500 4-2.500s3.400.9 4 2.500",
  model: "M4 19V5M4 19h16M7 15.500c3 0 3.500-8 6.500-8s3 4 6 4",
  camera:
    "M4 8.500A1.500 1.500 0 0 1 5.500 7H8l1.500-2.500h5L16 7h2.500A1.500 1.500 0 0 1 20 8.500v9a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 17.500zM12 16a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400z",
  file: "M12 16V5M7.500 9.500 12 5l4.500 4.500M5 19h14",
  close: "M6 6l12 12M18 6 6 18",
  add: "M12 5v14M5 12h14",
} as const;

let ids = 0;
/** An id that no other element has. */
export const freshId = (): string => `e${++ids}`;

/** A labelled control. */
export function field(label: string, control: HTMLElement, hint?: string): HTMLElement {
  control.id ||= freshId();
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    hint !== undefined && h("p", { class: "hint" }, hint),
  );
}

/** A box to tick with its label. */
export function tick(label: string, box: HTMLInputElement): HTMLElement {
  return h("label", { class: "tick" }, box, h("span", {}, label));
}
