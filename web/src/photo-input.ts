/** @file A place for a photograph: by drop, paste, file or camera. */
import { takePhoto } from "./camera.ts";
import type { LookAt } from "./challenge/view.ts";
import { h, icon } from "./dom.ts";
import { decode, type Picture, Stage } from "./stage.ts";
import { t } from "./words.ts";

export interface Photo {
  readonly file: Blob;
  /** Absent where the browser cannot show the format. */
  readonly picture: Picture | undefined;
}

/** The first file of a drop or a paste. */
export const fileOf = (data: DataTransfer | null): File | undefined => data?.files[0];

/** A button for a file behind it. */
export function fileButton(label: string, onFiles: (files: File[]) => void, multiple = false): HTMLElement {
  const input = h("input", {
    type: "file",
    accept: "image/*,.heic,.heif",
    multiple,
    class: "hidden",
    tabindex: -1,
    "aria-hidden": "true",
  });
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length > 0) onFiles(files);
  });
  const button = h("button", { type: "button", click: () => input.click() }, icon("file"), label);
  return h("span", { class: "file" }, button, input);
}

export class PhotoInput {
  readonly element: HTMLElement;
  readonly stage: Stage;
  readonly #title: string;
  readonly #look: LookAt;
  readonly #onPhoto: (photo: Photo) => void;
  readonly #problem = h("p", { class: "problem", role: "alert" });
  photo: Photo | undefined;

  /** @param look finds the faces of a picture of the camera. */
  constructor(title: string, look: LookAt, onPhoto: (photo: Photo) => void) {
    this.#title = title;
    this.#look = look;
    this.#onPhoto = onPhoto;
    this.stage = new Stage(h("p", { class: "empty" }, icon("who"), t("drop")));
    const camera = h(
      "button",
      { type: "button", click: () => void this.#shoot() },
      icon("camera"),
      t("useCamera"),
    );
    const file = fileButton(t("chooseFile"), ([first]) => void this.take(first!));
    this.element = h(
      "section",
      { class: "card photo", "aria-label": title },
      h("h2", {}, title),
      this.stage.element,
      h("div", { class: "actions" }, file, camera),
      this.#problem,
    );
    const { element } = this;
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("over");
    });
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("over");
      const dropped = fileOf(event.dataTransfer);
      if (dropped !== undefined) void this.take(dropped);
    });
  }

  async #shoot(): Promise<void> {
    const shot = await takePhoto(this.#look);
    if (shot !== undefined) await this.take(shot);
  }

  async take(file: Blob): Promise<void> {
    const picture = await decode(file);
    this.photo = { file, picture };
    if (picture === undefined) this.stage.clear();
    else this.stage.show(picture, this.#title);
    this.problem(picture === undefined ? t("noPreview") : "");
    this.#onPhoto(this.photo);
  }

  problem(text: string): void {
    this.#problem.replaceChildren(text);
  }
}

/** Gives pasted photographs to whoever is next. @returns what stops it. */
export function onPaste(take: (file: File) => void): () => void {
  const listen = (event: ClipboardEvent) => {
    const file = fileOf(event.clipboardData);
    if (file !== undefined) take(file);
  };
  document.addEventListener("paste", listen);
  return () => document.removeEventListener("paste", listen);
}
