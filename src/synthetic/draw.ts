/** @file Draws a photograph of a person who does not exist: draws person and circumstances, traces rays, applies a camera. */
import { Random } from "../base/random.ts";
import { loseAsJpeg } from "../image/jpeg-loss.ts";
import type { ImageSettings } from "../image/settings.ts";
import { type Camera, sampleCircumstances } from "./circumstances.ts";
import { samplePerson } from "./person.ts";
import { Scene } from "./scene.ts";

/** The numbers that identify a drawn photograph. */
export interface SyntheticPhoto {
  /** Seed of the whole drawn population. */
  readonly seed: number;
  /** Which person, from 0. */
  readonly identity: number;
  /** Which photograph of that person, from 0. */
  readonly number: number;
  /** How much the photographs of one person vary, from 0 to 2; the default is 1. */
  readonly difficulty: number;
}

/** Raise this when drawing changes pixels, which makes cached pixels invalid. */
export const DRAWING_VERSION = 2;

/** Steps of linear light from 0 to 1. */
const LEVELS = 4096;

/** The sRGB value, 0 to 255, of each step of linear light (IEC 61966-2-1). */
const SHOWN = new Float32Array(LEVELS + 1);
for (let level = 0; level <= LEVELS; level++) {
  const light = level / LEVELS;
  SHOWN[level] = 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);
}

/** Blurs rows, then columns, with a Gaussian of the given standard deviation in pixels. */
function defocus(scene: Float32Array, width: number, height: number, deviation: number): void {
  const reach = Math.ceil(deviation * 2.5);
  if (deviation < 0.2) return;
  const bell = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)),
  );
  const total = bell.reduce((sum, weight) => sum + weight, 0);
  const weights = bell.map((weight) => weight / total);
  const source = new Float32Array(scene.length);
  const pass = (length: number, lines: number, step: number, lineStep: number) => {
    source.set(scene);
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < length; i++) {
        let [r, g, b] = [0, 0, 0];
        for (let k = -reach; k <= reach; k++) {
          const at = line * lineStep + Math.max(0, Math.min(length - 1, i + k)) * step;
          const weight = weights[k + reach]!;
          r += weight * source[at]!;
          g += weight * source[at + 1]!;
          b += weight * source[at + 2]!;
        }
        const at = line * lineStep + i * step;
        scene[at] = r;
        scene[at + 1] = g;
        scene[at + 2] = b;
      }
    }
  };
  pass(width, height, 3, width * 3);
  pass(height, width, width * 3, 3);
}

/**
 * Turns a scene into the camera's image.
 * @param scene linear light, `[height, width, 3]`; its content is overwritten
 * @returns eight-bit sRGB of the same shape
 */
export function takePicture(scene: Float32Array, width: number, height: number, camera: Camera): Uint8Array {
  defocus(scene, width, height, camera.blur * width);
  const random = new Random(camera.seed);
  const pixels = new Uint8Array(scene.length);
  // This array rounds and clamps.
  const bytes = new Uint8ClampedArray(pixels.buffer);
  const { gain, contrast } = camera;
  const deviation = camera.noise * 255;
  for (let channel = 0; channel < 3; channel++) {
    const exposure = gain[channel]! * LEVELS;
    for (let i = channel; i < scene.length; i += 3) {
      const shown = SHOWN[Math.max(0, Math.min(LEVELS, Math.floor(scene[i]! * exposure)))]!;
      bytes[i] = 128 + (shown - 128) * contrast + deviation * almostNormal(random);
    }
  }
  loseAsJpeg(pixels, width, height, camera.quality);
  return pixels;
}

/** The sum of four random bytes, scaled to standard deviation 1: close to normal, and fast. */
function almostNormal(random: Random): number {
  const bits = random.uint32();
  return ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / 147.8;
}

/**
 * Draws one photograph of a person who does not exist. The same photo and size give the same pixels.
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 */
export function drawPhoto(photo: SyntheticPhoto, { height, width }: ImageSettings): Uint8Array {
  const population = new Random(photo.seed);
  const person = samplePerson(population.fork("person", photo.identity));
  const taking = population.fork("photo", photo.identity, photo.number);
  const what = sampleCircumstances(taking, photo.difficulty);
  const { reach, shiftX, shiftY } = what.pose;
  const unit = (2 * reach) / Math.min(height, width);
  const scene = new Scene(person, what, population.fork("texture", photo.identity), unit);
  const light = new Float32Array(height * width * 3);
  for (let row = 0, at = 0; row < height; row++) {
    const y = (row + 0.5 - height / 2) * unit - shiftY * reach;
    for (let column = 0; column < width; column++, at += 3) {
      scene.trace((column + 0.5 - width / 2) * unit - shiftX * reach, y);
      light[at] = scene.seen.r;
      light[at + 1] = scene.seen.g;
      light[at + 2] = scene.seen.b;
    }
  }
  return takePicture(light, width, height, what.camera);
}
