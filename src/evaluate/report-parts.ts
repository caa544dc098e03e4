/** @file What sections of the report page are made of. */
import { Html, html } from "./html.ts";

/** A section of the page with its heading. */
export const section = (title: string, ...content: readonly Html[]) =>
  html`<section><h2>${title}</h2>${content}</section>`;

/**
 * A drawing with what it shows.
 * @param svg made by us, so it is put in as it is.
 */
export const figure = (svg: string, caption: string) =>
  html`<figure>${new Html(svg)}<figcaption>${caption}</figcaption></figure>`;
