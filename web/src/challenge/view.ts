/** @file The challenge in the camera's dialog: off until it is asked for; the photograph is taken when it is passed. */
import type { Landmarks } from "../../../src/faces/face.ts";
import { h, tick } from "../dom.ts";
import { failureText } from "../server.ts";
import { t } from "../words.ts";
import { Challenge, drawnMoves, type Look, MOVES, type Progress } from "./challenge.ts";

/** Finds the faces of a picture of the camera. */
export type LookAt = (picture: Blob) => Promise<readonly Landmarks[]>;

interface Pictures {
  frame(mostSide?: number): Promise<Blob>;
}

/** The points of a face are exact enough in pictures of this many pixels, and are found sooner. */
const LOOK_SIDE = 480;

const faceOf = ([first, ...others]: readonly Landmarks[]): Look["face"] =>
  first === undefined ? "none" : others.length > 0 ? "several" : first;

function textOf(progress: Progress): string {
  if (progress.kind === "front") return t("alive.front");
  if (progress.kind === "move") return t(`alive.${progress.move}`);
  if (progress.kind === "passed") return t("alive.passed");
  return t(`alive.failed.${progress.why}`);
}

export class ChallengePanel {
  readonly element: HTMLElement;
  readonly #look: LookAt;
  readonly #box = h("input", { type: "checkbox" });
  readonly #order = h("p", { class: "order", role: "status" });
  readonly #count = h("p", { class: "hint" });
  readonly #again: HTMLButtonElement;
  #pictures: Pictures | undefined;
  #onPassed: () => void = () => undefined;
  /** Counts the tries; a loop of an earlier one ends. */
  #tries = 0;

  /** @param onAsked is told whether a photograph takes the challenge. */
  constructor(look: LookAt, onAsked: (isAsked: boolean) => void) {
    this.#look = look;
    this.#again = h(
      "button",
      { type: "button", class: "hidden", click: () => void this.#try() },
      t("tryAgain"),
    );
    const orders = h("div", { class: "orders hidden" }, this.#order, this.#count, this.#again);
    this.#box.addEventListener("change", () => {
      orders.classList.toggle("hidden", !this.#box.checked);
      onAsked(this.#box.checked);
      if (this.#box.checked) void this.#try();
      else this.end();
    });
    this.element = h(
      "div",
      { class: "choice" },
      tick(t("alive"), this.#box),
      h("p", { class: "hint" }, t("aliveHint")),
      orders,
    );
  }

  /** The camera is there. */
  begin(pictures: Pictures, onPassed: () => void): void {
    this.#pictures = pictures;
    this.#onPassed = onPassed;
    if (this.#box.checked) void this.#try();
  }

  end(): void {
    this.#tries++;
  }

  #show(progress: Progress): void {
    const text = textOf(progress);
    // What is said again would be read aloud again.
    if (this.#order.textContent !== text) this.#order.replaceChildren(text);
    const done = "done" in progress ? progress.done : undefined;
    this.#count.replaceChildren(done === undefined ? "" : t("alive.count", { done, of: MOVES.length }));
    this.#again.classList.toggle("hidden", progress.kind !== "failed");
  }

  async #try(): Promise<void> {
    const pictures = this.#pictures;
    if (pictures === undefined) return;
    const mine = ++this.#tries;
    const challenge = new Challenge(drawnMoves());
    this.#show({ kind: "front", done: 0 });
    try {
      while (mine === this.#tries) {
        const time = performance.now();
        const face = faceOf(await this.#look(await pictures.frame(LOOK_SIDE)));
        if (mine !== this.#tries) return;
        const progress = challenge.see({ time, face });
        this.#show(progress);
        if (progress.kind === "passed") return this.#onPassed();
        if (progress.kind === "failed") return;
      }
    } catch (error) {
      if (mine !== this.#tries) return;
      this.#order.replaceChildren(failureText(error));
      this.#again.classList.remove("hidden");
    }
  }
}
