/** @file The camera: one photograph, or frame by frame. */

import { ChallengePanel, type LookAt } from "./challenge/view.ts";
import { h, icon } from "./dom.ts";
import { t } from "./words.ts";

const WANTED = {
  video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } },
  audio: false,
};
const JPEG_QUALITY = 0.92;

/** A running camera; disposing turns it off. */
export class Camera implements Disposable {
  readonly video = h("video", { autoplay: true, playsinline: true, muted: true });
  readonly #stream: MediaStream;

  private constructor(stream: MediaStream) {
    this.#stream = stream;
    this.video.muted = true;
    this.video.srcObject = stream;
  }

  /** @throws DOMException when there is none or it is not allowed. */
  static async open(): Promise<Camera> {
    // Without a secure connection browsers have no cameras.
    if (navigator.mediaDevices === undefined) throw new DOMException("no camera", "NotFoundError");
    const camera = new Camera(await navigator.mediaDevices.getUserMedia(WANTED));
    await camera.video.play();
    return camera;
  }

  /** The picture of now, as a file. @param mostSide pixels of its longer side; default all. */
  async frame(mostSide = Number.POSITIVE_INFINITY): Promise<Blob> {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, mostSide / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    const canvas = h("canvas", { width, height });
    canvas.getContext("2d")!.drawImage(this.video, 0, 0, width, height);
    return await new Promise((resolve, reject) =>
      canvas.toBlob(
        (blob) => (blob === null ? reject(new Error("no frame")) : resolve(blob)),
        "image/jpeg",
        JPEG_QUALITY,
      ),
    );
  }

  [Symbol.dispose](): void {
    for (const track of this.#stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}

/** Asks for one photograph by the camera; undefined when it is cancelled. @param look finds faces, for the challenge. */
export async function takePhoto(look: LookAt): Promise<Blob | undefined> {
  const stage = h("div", { class: "stage" });
  const shoot = h(
    "button",
    { type: "button", class: "primary", disabled: true },
    icon("camera"),
    t("takePhoto"),
  );
  const cancel = h("button", { type: "button" }, t("cancel"));
  const problem = h("p", { role: "alert", class: "problem" });
  const panel = new ChallengePanel(look, (isAsked) => {
    shoot.disabled = isAsked || camera === undefined;
  });
  const dialog = h(
    "dialog",
    { class: "camera", "aria-label": t("useCamera") },
    stage,
    problem,
    panel.element,
    h("div", { class: "actions" }, cancel, shoot),
  );
  document.body.append(dialog);
  dialog.showModal();
  let camera: Camera | undefined;
  try {
    return await new Promise<Blob | undefined>((resolve) => {
      cancel.addEventListener("click", () => resolve(undefined));
      dialog.addEventListener("cancel", () => resolve(undefined));
      Camera.open().then(
        (opened) => {
          camera = opened;
          stage.replaceChildren(opened.video);
          shoot.disabled = false;
          shoot.focus();
          shoot.addEventListener("click", () => void opened.frame().then(resolve));
          panel.begin(opened, () => void opened.frame().then(resolve));
        },
        () => problem.replaceChildren(t("cameraDenied")),
      );
    });
  } finally {
    panel.end();
    camera?.[Symbol.dispose]();
    dialog.close();
    dialog.remove();
  }
}
