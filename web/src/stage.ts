/** @file A photograph with boxes, points and names drawn over it, and the crop of a face. */
import { cropOf } from "../../src/faces/alignment.ts";
import type { Detection } from "../../src/faces/face.ts";
import { invert } from "../../src/faces/similarity.ts";
import { h } from "./dom.ts";

/** A photograph that the browser can draw. */
export interface Picture {
  readonly source: CanvasImageSource;
  readonly width: number;
  readonly height: number;
}

export interface Mark {
  readonly face: Pick<Detection, "box" | "landmarks">;
  readonly label?: string | undefined;
  /** A face that was not named is drawn more quietly. */
  readonly quiet?: boolean;
}

/** Decodes a photograph upright; undefined where the browser does not know its format. */
export async function decode(file: Blob): Promise<Picture | undefined> {
  try {
    const source = await createImageBitmap(file, { imageOrientation: "from-image" });
    return { source, width: source.width, height: source.height };
  } catch {
    return undefined;
  }
}

const percent = (part: number, whole: number) => `${(100 * part) / whole}%`;
/** Canvases need no more pixels than screens show. */
const MOST_PIXELS = 1600;

/** A frame of fixed shape in which photographs are shown whole. */
export class Stage {
  readonly element: HTMLElement;
  readonly #frame = h("div", { class: "frame" });
  readonly #empty: HTMLElement;
  #size = { width: 4, height: 3 };

  /** @param empty what is shown without a photograph. */
  constructor(empty: HTMLElement) {
    this.#empty = empty;
    this.element = h("div", { class: "stage" }, empty);
  }

  /** @param label for those who do not see it. */
  show({ source, width, height }: Picture, label: string): void {
    const scale = Math.min(1, MOST_PIXELS / Math.max(width, height));
    const canvas = h("canvas", {
      width: Math.round(width * scale),
      height: Math.round(height * scale),
      role: "img",
      "aria-label": label,
    });
    canvas.getContext("2d")!.drawImage(source, 0, 0, canvas.width, canvas.height);
    this.#put(canvas, width, height);
  }

  /** Shows a video as it runs. */
  play(video: HTMLVideoElement): void {
    this.#put(video, video.videoWidth, video.videoHeight);
  }

  #put(content: HTMLElement, width: number, height: number): void {
    this.#size = { width, height };
    this.#frame.style.setProperty("--ratio", String(width / height));
    this.#frame.replaceChildren(content);
    this.element.replaceChildren(this.#frame);
  }

  mark(marks: readonly Mark[]): void {
    for (const old of this.#frame.querySelectorAll(".mark, .point")) old.remove();
    const { width, height } = this.#size;
    for (const { face, label, quiet = false } of marks) {
      const [x, y, w, tall] = face.box;
      const mark = h("div", { class: `mark${quiet ? " quiet" : ""}`, "aria-hidden": "true" });
      Object.assign(mark.style, {
        left: percent(x, width),
        top: percent(y, height),
        width: percent(w, width),
        height: percent(tall, height),
      });
      // At the border of the photograph a name goes inside.
      if (label !== undefined) mark.append(h("span", { class: y / height < 0.1 ? "inside" : "" }, label));
      this.#frame.append(mark);
      for (const [px, py] of face.landmarks) {
        const point = h("i", { class: `point${quiet ? " quiet" : ""}`, "aria-hidden": "true" });
        Object.assign(point.style, { left: percent(px + 0.5, width), top: percent(py + 0.5, height) });
        this.#frame.append(point);
      }
    }
  }

  clear(): void {
    this.element.replaceChildren(this.#empty);
  }
}

const CROP = 112;

/** The face as models read it. */
export function crop({ source }: Picture, face: Detection, label: string): HTMLCanvasElement {
  const canvas = h("canvas", { class: "crop", width: CROP, height: CROP, role: "img", "aria-label": label });
  const context = canvas.getContext("2d")!;
  const { a, b, x0, y0 } = invert(cropOf(face, { kind: "aligned" }, CROP));
  context.imageSmoothingQuality = "high";
  context.setTransform(a, b, -b, a, x0, y0);
  context.drawImage(source, 0, 0);
  return canvas;
}
