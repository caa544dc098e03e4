/**
 * @file Training pictures: photographs of LFW moved, turned and scaled, whole or cut out, on backgrounds made by program.
 * Where the faces are follows from the labels of the photographs, so that no picture needs a detector.
 */
import { Random } from "../../src/base/random.ts";
import type { Box, Detection, Landmarks, Point } from "../../src/faces/face.ts";
import { Pyramid, sample } from "../../src/faces/pyramid.ts";
import {
  applySimilarity,
  invert,
  type Similarity,
  scaleOf,
  similarityAbout,
} from "../../src/faces/similarity.ts";
import type { Pixels } from "../../src/image/settings.ts";
import { drawnPicture, mirrored } from "./drawn.ts";
import { SURE } from "./labels.ts";
import type { Target } from "./targets.ts";

/** A photograph with its faces, the central one first. */
export interface Photograph {
  readonly pixels: Pixels;
  readonly faces: readonly Detection[];
}

/** A training picture. */
export interface Scene {
  /** Square. */
  readonly pixels: Pixels;
  readonly faces: readonly Target[];
}

const pick = (photographs: Photographs, random: Random) => photographs.at(random.integer(photographs.count));

/** Photographs by number. */
export interface Photographs {
  readonly count: number;
  at(index: number): Photograph;
}

const centreOf = ({ box: [x, y, width, height] }: Detection): Point => [
  x + width / 2 - 0.5,
  y + height / 2 - 0.5,
];
const sizeOf = ({ box: [, , width, height] }: Detection) => Math.sqrt(width * height);

/** Radians by which faces are turned: most little, some in any direction, as telephones hold them. */
function drawnRoll(random: Random): number {
  const kind = random.uniform();
  if (kind < 0.55) return (random.normal() * 12 * Math.PI) / 180;
  return kind < 0.8 ? random.between(-Math.PI / 3, Math.PI / 3) : random.between(-Math.PI, Math.PI);
}

/** Sizes of faces: half of all sizes that are found, half of those in which the detector looks at a face again. */
function drawnSize(random: Random): number {
  const [from, to] = random.chance(0.5) ? [14, 190] : [60, 170];
  return from * (to / from) ** random.uniform();
}

/** A box around a turned face: of the same size, upright, and with its sides exchanged where the face lies. */
function movedBox(face: Detection, by: Similarity): Box {
  const [x, y] = applySimilarity(by, centreOf(face));
  const scale = scaleOf(by);
  const [, , w, h] = face.box;
  // The ellipse within the box, turned, fits into these sides.
  const [cos, sin] = [by.a / scale, by.b / scale];
  const [width, height] = [Math.hypot(w * cos, h * sin) * scale, Math.hypot(w * sin, h * cos) * scale];
  return [x + 0.5 - width / 2, y + 0.5 - height / 2, width, height];
}

function movedFace(face: Detection, by: Similarity): Target {
  const landmarks = face.landmarks.map((point) => applySimilarity(by, point)) as unknown as Landmarks;
  return { box: movedBox(face, by), landmarks, score: face.score, sure: face.score >= SURE };
}

/** A corner of a photograph that no face reaches into; undefined where there is none large enough. */
function freeSquare({ pixels, faces }: Photograph, random: Random) {
  for (let attempt = 0; attempt < 6; attempt++) {
    const side = Math.round(random.between(36, 84));
    const [left, top] = [random.integer(pixels.width - side), random.integer(pixels.height - side)];
    const isFree = faces.every(({ box: [x, y, width, height] }) => {
      const [dx, dy] = [width * 0.1, height * 0.1];
      return x - dx > left + side || x + width + dx < left || y - dy > top + side || y + height + dy < top;
    });
    if (isFree) return { left, top, side };
  }
  return undefined;
}

/** A picture without a face. */
function background(photographs: Photographs, side: number, random: Random): Pixels {
  if (random.chance(0.5)) {
    const photograph = pick(photographs, random);
    const square = freeSquare(photograph, random);
    if (square !== undefined) return mirrored(photograph.pixels, square, side, random);
  }
  return drawnPicture(side, random);
}

/** How much of a place a cut-out covers, 0 to 1, by the place's distances from the photograph's middle. */
type Cut = (x: number, y: number) => number;

function drawnCut(random: Random): Cut {
  const [width, height] = [random.between(55, 125), random.between(62, 125)];
  const edge = random.chance(0.5) ? 1 : random.between(1, 25);
  const cover = (inside: number) => Math.max(0, Math.min(1, inside / edge));
  switch (random.integer(3)) {
    case 0:
      return (x, y) => cover(Math.min(width - Math.abs(x), height - Math.abs(y)));
    case 1:
      return (x, y) => cover((1 - Math.hypot(x / width, y / height)) * Math.min(width, height));
    default:
      return () => 1;
  }
}

/** Lays a photograph over a picture; returns its faces there. Faces that the picture hardly shows, or the cut removes, are left out. */
function lay(scene: Pixels, { pixels, faces }: Photograph, toScene: Similarity, cut: Cut): Target[] {
  const toPhotograph = invert(toScene);
  const patch = sample(new Pyramid(pixels), toPhotograph, scene.width, scene.height);
  const [middleX, middleY] = [(pixels.width - 1) / 2, (pixels.height - 1) / 2];
  const { a, b, x0, y0 } = toPhotograph;
  for (let row = 0, at = 0; row < scene.height; row++) {
    for (let column = 0; column < scene.width; column++, at += 3) {
      const [x, y] = [a * column - b * row + x0, b * column + a * row + y0];
      if (x < 0 || y < 0 || x > pixels.width - 1 || y > pixels.height - 1) continue;
      const part = cut(x - middleX, y - middleY);
      if (part === 0) continue;
      for (let i = at; i < at + 3; i++)
        scene.data[i] = scene.data[i]! + part * (patch.data[i]! - scene.data[i]!);
    }
  }
  return faces.flatMap((face) => {
    const [x, y] = centreOf(face);
    if (cut(x - middleX, y - middleY) < 0.5) return [];
    const target = movedFace(face, toScene);
    const [left, top, width, height] = target.box;
    const shown = (from: number, length: number, all: number) =>
      (Math.min(from + length, all) - Math.max(from, 0)) / length;
    const part = Math.max(0, shown(left, width, scene.width)) * Math.max(0, shown(top, height, scene.height));
    // What the cut leaves of a face away from the middle is not known.
    const corners = [left, left + width].flatMap((u) => [top, top + height].map((v): Point => [u, v]));
    const isWhole = corners.every((corner) => {
      const [u, v] = applySimilarity(toPhotograph, corner);
      return cut(u - middleX, v - middleY) > 0 || face === faces[0];
    });
    return part < 0.2 ? [] : [{ ...target, sure: target.sure && part > 0.6 && isWhole }];
  });
}

/** Covers a part of a face, as hands, glasses and microphones do. */
function cover(scene: Pixels, { box: [x, y, width, height] }: Target, by: Pixels, random: Random): void {
  const [w, h] = [
    Math.round(width * random.between(0.1, 0.45)),
    Math.round(height * random.between(0.1, 0.35)),
  ];
  const [left, top] = [
    Math.round(random.between(x, x + width - w)),
    Math.round(random.between(y, y + height - h)),
  ];
  for (let row = Math.max(0, top); row < Math.min(scene.height, top + h); row++) {
    const [from, to] = [Math.max(0, left), Math.min(scene.width, left + w)];
    if (from >= to) continue;
    const at = (row * scene.width + from) * 3;
    scene.data.set(by.data.subarray(at, at + (to - from) * 3), at);
  }
}

const NOISE = (() => {
  const random = new Random(20_261_129);
  return Float32Array.from({ length: 1 << 16 }, () => random.normal());
})();

/** Light, contrast, colours, blur and grain of cameras. */
function developed(scene: Pixels, random: Random): Pixels {
  let { data } = scene;
  const side = scene.width;
  if (random.chance(0.25)) {
    // Smaller and back again.
    const factor = random.between(1.2, 2.6);
    const small = Math.round(side / factor);
    const to = (scale: number): Similarity => ({ a: scale, b: 0, x0: (scale - 1) / 2, y0: (scale - 1) / 2 });
    const less = sample(new Pyramid(scene), to(side / small), small, small);
    data = sample(new Pyramid(less), to(small / side), side, side).data;
  }
  const gain = 2 ** (random.normal() * 0.25);
  const gains = [0, 1, 2].map(() => gain * (1 + random.normal() * 0.06));
  const shift = random.normal() * 14;
  const middle = random.between(90, 150);
  const grey = random.chance(0.12);
  const grain = random.chance(0.5) ? random.between(0, 11) : 0;
  let place = random.integer(NOISE.length);
  const out = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += 3) {
    const luminance = 0.3 * data[at]! + 0.59 * data[at + 1]! + 0.11 * data[at + 2]!;
    for (let i = 0; i < 3; i++) {
      const value = grey ? luminance : data[at + i]!;
      place = (place + 1) & 0xffff;
      const changed = (value - middle) * gains[i]! + middle + shift + grain * NOISE[place]!;
      out[at + i] = Math.max(0, Math.min(255, changed + 0.5));
    }
  }
  return { data: out, width: side, height: side };
}

/** The picture and its faces in a mirror: left eyes become right ones. */
function reflected({ pixels: { data, width, height }, faces }: Scene): Scene {
  const out = new Uint8Array(data.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [from, to] = [(row * width + column) * 3, (row * width + width - 1 - column) * 3];
      out[to] = data[from]!;
      out[to + 1] = data[from + 1]!;
      out[to + 2] = data[from + 2]!;
    }
  }
  const other = ([x, y]: Point): Point => [width - 1 - x, y];
  return {
    pixels: { data: out, width, height },
    faces: faces.map(({ box: [x, y, w, h], landmarks: [a, b, c, d, e], ...rest }) => ({
      ...rest,
      box: [width - x - w, y, w, h],
      landmarks: [other(b), other(a), other(c), other(e), other(d)],
    })),
  };
}

/** Shares of pictures: with one photograph that may fill it, with photographs cut out, and the rest without a face. */
const WHOLE = 0.35;
const CUT_OUT = 0.5;

function undeveloped(photographs: Photographs, side: number, random: Random): Scene {
  const pixels = background(photographs, side, random);
  const kind = random.uniform();
  if (kind >= WHOLE + CUT_OUT) return { pixels, faces: [] };
  const count = kind < WHOLE || random.chance(0.6) ? 1 : 2 + random.integer(2);
  let faces: Target[] = [];
  for (let i = 0; i < count; i++) {
    const photograph = pick(photographs, random);
    const face = photograph.faces[0];
    if (face === undefined) continue;
    const size = count === 1 ? drawnSize(random) : Math.min(drawnSize(random), side / 2);
    const margin = Math.min(0.3 * size, side / 2 - 1);
    const to: Point = [random.between(margin, side - margin), random.between(margin, side - margin)];
    const toScene = similarityAbout(centreOf(face), to, size / sizeOf(face), drawnRoll(random));
    const cut = kind < WHOLE ? () => 1 : drawnCut(random);
    const added = lay(pixels, photograph, toScene, cut);
    // What lies under a later photograph is not known any more.
    const under = faces.map((each) => ({
      ...each,
      sure: each.sure && added.every((one) => !near(each, one)),
    }));
    faces = [...under, ...added];
  }
  if (faces[0] !== undefined && random.chance(0.15)) {
    cover(pixels, faces[0], background(photographs, side, random), random);
  }
  return { pixels, faces };
}

/** Whether the photograph of one face may cover another. */
function near(face: Target, other: Target): boolean {
  const [[x, y], [u, v]] = [centreOf(face), centreOf(other)];
  return Math.hypot(x - u, y - v) < sizeOf(face) + 1.9 * sizeOf(other);
}

/** The training picture of a number: the same for the same photographs, seed and number. */
export function drawScene(photographs: Photographs, side: number, seed: number, number: number): Scene {
  const random = new Random(seed).fork("scene", number);
  const { pixels, faces } = undeveloped(photographs, side, random);
  const scene = { pixels: developed(pixels, random), faces };
  return random.chance(0.5) ? reflected(scene) : scene;
}
