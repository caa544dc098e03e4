/** @file What a view of the page is. */
import type { ServiceFacts } from "../../src/client/gallery-client.ts";

export interface View {
  readonly element: HTMLElement;
  /** Turns cameras off and stops listening. */
  dispose?(): void;
}

export interface Context {
  readonly facts: ServiceFacts;
  /** The gallery that is shown; undefined on a server without one. */
  readonly gallery: string | undefined;
  /** Says something to those who do not see the page, and shows it for a while. */
  say(text: string): void;
}

/** Rates to choose from, as one in so many. */
export const ONE_IN = [10, 100, 1000, 10_000] as const;
