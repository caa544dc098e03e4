/** @file Draws photographs with the boxes and points of their faces, and the crops that were compared, as PNG. */

import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { scoreText } from "../artifact/rates.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget } from "../base/files.ts";
import type { Face } from "../faces/face.ts";
import { Pyramid, sample } from "../faces/pyramid.ts";
import { similarityAbout } from "../faces/similarity.ts";
import { encodeJpeg, rasterizeSvg } from "../image/decode.ts";
import type { Pixels } from "../image/settings.ts";
import { element, round } from "../model/svg.ts";
import type { PhotoVerification, ReadPhoto } from "./photo-model.ts";

/** Longest side of a drawn photograph in pixels; smaller ones are enlarged to it. */
const COMPARED_SIDE = 480;
/** The same where one photograph is the whole picture. */
const SINGLE_SIDE = 1280;
const CROP_SIDE = 160;
const GAP = 16;
const PAPER = "#f4f4f2";
const CHOSEN = "#00c26e";
const OTHER = "#ffb000";
const INK = "#1d1d1f";
const SAME = "#0a7f46";
const DIFFERENT = "#b3261e";
/** Above the photographs, for the verdict; and below each, for its name. */
const HEAD = 44;
const CAPTION = 26;
const FONT = "Inter, Helvetica, Arial, DejaVu Sans, sans-serif";

/** A line of text that is cut to a width. */
function textElement(text: string, { x, y }: Place, width: number, size: number, fill: string): string {
  // A letter is about 0.55 of its size wide.
  const room = Math.max(4, Math.floor(width / (0.55 * size)));
  const shown = text.length <= room ? text : `…${text.slice(1 - room)}`;
  const attributes = { x, y, fill, "font-family": FONT, "font-size": size, "font-weight": 600 };
  return element("text", attributes, shown);
}

interface Place {
  readonly x: number;
  readonly y: number;
}

export const isPngName = (path: string): boolean => path.toLowerCase().endsWith(".png");

/**
 * Checks where a picture is to be written, before any work.
 * @param photos the photographs that are read.
 * @throws FaceError `CONFIG_INVALID` for a name that is no PNG's or that of a photograph, `FILE_INVALID` for a folder that
 *   does not exist or cannot be written to.
 */
export async function requirePicture(path: string, photos: readonly string[]): Promise<void> {
  if (!isPngName(path)) {
    throw new FaceError("CONFIG_INVALID", `--show: got ${path}, expected a name ending in .png`);
  }
  if (photos.some((photo) => resolve(photo) === resolve(path))) {
    throw new FaceError("CONFIG_INVALID", `--show: the picture would overwrite the photograph ${path}`, {
      hint: "choose another name",
    });
  }
  const folder = dirname(resolve(path));
  try {
    await access(folder, constants.W_OK);
    await checkTarget(path, "file");
  } catch (error) {
    throw new FaceError("FILE_INVALID", `--show: cannot write to the folder ${folder}`, {
      hint: "choose a folder that exists and that you may write to",
      cause: error,
    });
  }
}

/** Pixels as an SVG image. */
async function imageElement(pixels: Pixels, { x, y }: Place, width: number, height: number): Promise<string> {
  const file = await encodeJpeg(pixels.data, pixels.width, pixels.height, 92);
  const href = `data:image/jpeg;base64,${Buffer.from(file).toString("base64")}`;
  return element("image", { x, y, width, height, href, preserveAspectRatio: "none" });
}

/** A face as it is drawn. */
interface DrawnFace {
  readonly face: Face;
  readonly colour: string;
  /** Its number in the list. */
  readonly label?: string;
}

/** A number in the corner of a box. */
function labelElements(label: string, { x, y }: Place, colour: string): string[] {
  const width = 10 + 10 * label.length;
  return [
    element("rect", { x: round(x), y: round(y), width, height: 20, fill: colour }),
    textElement(label, { x: round(x + 5), y: round(y + 15) }, 100, 15, "black"),
  ];
}

/** A face's box and points at a scale. */
function faceElements(drawn: DrawnFace, { x, y }: Place, scale: number): string[] {
  const { colour, label } = drawn;
  const { box, landmarks } = drawn.face;
  const [left, top, width, height] = box.map((value) => value * scale) as [number, number, number, number];
  const rect = element("rect", {
    x: round(x + left),
    y: round(y + top),
    width: round(width),
    height: round(height),
    fill: "none",
    stroke: colour,
    "stroke-width": 2,
  });
  // The centre of the first pixel is at (0, 0); a drawing's origin is that pixel's corner.
  const points = landmarks.map(([px, py]) =>
    element("circle", {
      cx: round(x + (px + 0.5) * scale),
      cy: round(y + (py + 0.5) * scale),
      r: 2.5,
      fill: colour,
      stroke: "black",
      "stroke-width": 0.5,
    }),
  );
  const corner = { x: Math.max(x, x + left), y: Math.max(y, y + top) };
  return [rect, ...points, ...(label === undefined ? [] : labelElements(label, corner, colour))];
}

interface Panel {
  readonly width: number;
  readonly height: number;
  readonly elements: readonly string[];
}

/** A photograph with its faces, its longest side of a given length. */
async function photographPanel(
  photograph: Pyramid,
  faces: readonly DrawnFace[],
  place: Place,
  longest: number,
): Promise<Panel> {
  const { size } = photograph;
  const scale = longest / Math.max(size.width, size.height);
  const width = Math.max(1, Math.round(size.width * scale));
  const height = Math.max(1, Math.round(size.height * scale));
  const origin = [-0.5, -0.5] as const;
  const toPhotograph = similarityAbout(origin, origin, 1 / scale, 0);
  const drawn = sample(photograph, toPhotograph, width, height);
  const elements = [
    await imageElement(drawn, place, width, height),
    ...faces.flatMap((face) => faceElements(face, place, scale)),
  ];
  return { width, height, elements };
}

function picture(width: number, height: number, elements: readonly string[]): Promise<Uint8Array> {
  const paper = element("rect", { width, height, fill: PAPER });
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
  };
  return rasterizeSvg(element("svg", attributes, paper, ...elements));
}

/** One photograph that was compared, with its name and the crop that the model read below it. */
async function comparedPanel(compared: ReadPhoto, name: string, x: number): Promise<Panel> {
  const { photograph, face, others, crop } = compared;
  const shown = await photographPanel(
    photograph ?? new Pyramid(crop),
    [
      ...others.map((other) => ({ face: other, colour: OTHER })),
      ...(face === undefined ? [] : [{ face, colour: CHOSEN }]),
    ],
    { x, y: HEAD },
    COMPARED_SIDE,
  );
  const below = HEAD + COMPARED_SIDE;
  const y = below + CAPTION + GAP;
  const width = Math.max(shown.width, CROP_SIDE);
  const cropElement = await imageElement(crop, { x, y }, CROP_SIDE, CROP_SIDE);
  const caption = textElement(basename(name), { x, y: below + CAPTION - 6 }, width, 16, INK);
  return { width, height: y + CROP_SIDE + GAP, elements: [...shown.elements, caption, cropElement] };
}

/** What a comparison came to, and of what. */
export interface Compared {
  /** Of the two photographs. */
  readonly names: readonly [string, string];
  readonly verification: PhotoVerification;
}

/**
 * Two photographs side by side under the verdict, with the faces that were compared in one colour and all others in
 * another, and below each its name and the crop that the model read.
 */
export async function drawComparison(
  pair: readonly [ReadPhoto, ReadPhoto],
  { names, verification }: Compared,
): Promise<Uint8Array> {
  const left = await comparedPanel(pair[0], names[0], GAP);
  const right = await comparedPanel(pair[1], names[1], GAP + left.width + GAP);
  const width = GAP + left.width + GAP + right.width + GAP;
  const { same, similarity, threshold } = verification;
  const verdict = `${same ? "same person" : "different people"}: similarity ${scoreText(similarity)}, threshold ${scoreText(threshold)}`;
  const head = textElement(verdict, { x: GAP, y: HEAD - 16 }, width - 2 * GAP, 20, same ? SAME : DIFFERENT);
  return await picture(width, left.height, [head, ...left.elements, ...right.elements]);
}

/** A photograph with all its faces, numbered as they are listed; those with warnings in another colour. */
export async function drawFaces(
  photograph: Pyramid,
  faces: readonly (Face & { readonly warnings: readonly string[] })[],
): Promise<Uint8Array> {
  const drawn = faces.map((face, i) => ({
    face,
    colour: face.warnings.length === 0 ? CHOSEN : OTHER,
    label: String(i + 1),
  }));
  const panel = await photographPanel(photograph, drawn, { x: 0, y: 0 }, SINGLE_SIDE);
  return await picture(panel.width, panel.height, panel.elements);
}
