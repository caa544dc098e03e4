/** @file Effects of cameras on an image: light, colour, blur, resolution, noise, covered parts. All change the bytes in place. */
import type { Random } from "../base/random.ts";
import type { ImageSettings } from "./settings.ts";

/** Luminance of red, green and blue (Rec. 601). */
const RED = 0.299;
const GREEN = 0.587;
const BLUE = 0.114;

const byte = (value: number) => (value < 0 ? 0 : value > 255 ? 255 : value + 0.5) | 0;

function meanLuminance(pixels: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) {
    sum += RED * pixels[i]! + GREEN * pixels[i + 1]! + BLUE * pixels[i + 2]!;
  }
  return (sum / pixels.length) * 3;
}

/** Factors, 1 for no change: brightness, distance from the mean brightness, distance from grey. */
export interface Light {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
}

/** Changes brightness, contrast and saturation. */
export function relight(pixels: Uint8Array, { brightness, contrast, saturation }: Light): void {
  const mean = meanLuminance(pixels) * brightness;
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    const grey = RED * r + GREEN * g + BLUE * b;
    const light = mean + (grey * brightness - mean) * contrast;
    const colour = saturation * brightness * contrast;
    pixels[i] = byte(light + (r - grey) * colour);
    pixels[i + 1] = byte(light + (g - grey) * colour);
    pixels[i + 2] = byte(light + (b - grey) * colour);
  }
}

/** Rotates all hues by an angle in degrees around the grey axis of YIQ; luminance stays the same. */
export function turnHues(pixels: Uint8Array, degrees: number): void {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    const y = RED * r + GREEN * g + BLUE * b;
    const inPhase = 0.596 * r - 0.274 * g - 0.322 * b;
    const quadrature = 0.211 * r - 0.523 * g + 0.312 * b;
    const [turned, across] = [cos * inPhase - sin * quadrature, sin * inPhase + cos * quadrature];
    pixels[i] = byte(y + 0.956 * turned + 0.621 * across);
    pixels[i + 1] = byte(y - 0.272 * turned - 0.647 * across);
    pixels[i + 2] = byte(y - 1.106 * turned + 1.703 * across);
  }
}

/** Blurs along rows or columns with the kernel 1 2 1, applied `passes` times, which is close to a Gaussian. */
function smear(
  pixels: Uint8Array,
  count: number,
  step: number,
  lines: number,
  lineStep: number,
  passes: number,
) {
  const line = new Float32Array(count);
  for (let n = 0; n < lines; n++) {
    for (let channel = 0; channel < 3; channel++) {
      const start = n * lineStep + channel;
      for (let i = 0; i < count; i++) line[i] = pixels[start + i * step]!;
      for (let pass = 0; pass < passes; pass++) {
        let before = line[0]!;
        for (let i = 0; i < count; i++) {
          const here = line[i]!;
          line[i] = (before + 2 * here + line[Math.min(count - 1, i + 1)]!) / 4;
          before = here;
        }
      }
      for (let i = 0; i < count; i++) pixels[start + i * step] = line[i]! + 0.5;
    }
  }
}

/** Blurs an image by numbers of passes along each axis. */
export function blur(
  pixels: Uint8Array,
  { height, width }: ImageSettings,
  across: number,
  down: number,
): void {
  if (across > 0) smear(pixels, width, 3, height, width * 3, across);
  if (down > 0) smear(pixels, height, width * 3, width, 3, down);
}

/** Motion blur: averages each pixel with its neighbours on a line of `length` pixels at `angle` radians. */
export function smearAlong(
  pixels: Uint8Array,
  { height, width }: ImageSettings,
  angle: number,
  length: number,
): void {
  const source = new Uint8Array(pixels);
  const reach = Math.max(1, Math.round(length / 2));
  const places = Array.from({ length: 2 * reach + 1 }, (_, i) => ({
    right: Math.round((i - reach) * Math.cos(angle)),
    down: Math.round((i - reach) * Math.sin(angle)),
  }));
  const within = (value: number, side: number) => (value < 0 ? 0 : value >= side ? side - 1 : value);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 3) {
      let [r, g, b] = [0, 0, 0];
      for (const { right, down } of places) {
        const from = (within(row + down, height) * width + within(column + right, width)) * 3;
        r += source[from]!;
        g += source[from + 1]!;
        b += source[from + 2]!;
      }
      pixels[at] = r / places.length + 0.5;
      pixels[at + 1] = g / places.length + 0.5;
      pixels[at + 2] = b / places.length + 0.5;
    }
  }
}

/** For each position along a side: the two kept pixels around it, and the weight of the second. */
function placesBetween(side: number, kept: number) {
  const from = new Int32Array(side);
  const to = new Int32Array(side);
  const part = new Float64Array(side);
  const full = (index: number) => Math.min(side - 1, Math.floor(((index + 0.5) * side) / kept));
  for (let at = 0; at < side; at++) {
    const position = ((at + 0.5) * kept) / side - 0.5;
    const low = Math.max(0, Math.min(kept - 2, Math.floor(position)));
    from[at] = full(low);
    to[at] = full(low + 1);
    part[at] = Math.max(0, Math.min(1, position - low));
  }
  return { from, to, part };
}

/** Lowers the resolution to a fraction of both sides and interpolates back to the full size. */
export function coarsen(pixels: Uint8Array, { height, width }: ImageSettings, fraction: number): void {
  const source = new Uint8Array(pixels);
  const down = placesBetween(height, Math.max(2, Math.round(height * fraction)));
  const across = placesBetween(width, Math.max(2, Math.round(width * fraction)));
  for (let row = 0, at = 0; row < height; row++) {
    const top = down.from[row]! * width * 3;
    const bottom = down.to[row]! * width * 3;
    for (let column = 0; column < width; column++) {
      const part = across.part[column]!;
      const left = across.from[column]! * 3;
      const right = across.to[column]! * 3;
      for (let channel = 0; channel < 3; channel++, at++) {
        const [above, below] = [top + channel, bottom + channel];
        const upper = source[above + left]! + (source[above + right]! - source[above + left]!) * part;
        const lower = source[below + left]! + (source[below + right]! - source[below + left]!) * part;
        pixels[at] = upper + (lower - upper) * down.part[row]! + 0.5;
      }
    }
  }
}

/** Adds noise with the given standard deviation, on the scale of 255. */
export function addNoise(pixels: Uint8Array, deviation: number, random: Random): void {
  // The sum of four random bytes is close to a normal distribution and four times as fast.
  const unit = deviation / 147.8;
  for (let i = 0; i < pixels.length; i++) {
    const draw = random.uint32();
    const sum = (draw & 255) + ((draw >>> 8) & 255) + ((draw >>> 16) & 255) + (draw >>> 24) - 510;
    pixels[i] = byte(pixels[i]! + sum * unit);
  }
}

/** A rectangle: rows from `top` to before `bottom`, columns from `left` to before `right`. */
export interface Part {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Blackens everything outside a rectangle. */
export function blacken(pixels: Uint8Array, { height, width }: ImageSettings, kept: Part): void {
  const at = (row: number, column: number) => (row * width + column) * 3;
  pixels.fill(0, 0, at(kept.top, 0));
  for (let row = kept.top; row < kept.bottom; row++) {
    pixels.fill(0, at(row, 0), at(row, kept.left));
    pixels.fill(0, at(row, kept.right), at(row, width));
  }
  pixels.fill(0, at(kept.bottom, 0), at(height, 0));
}

/** Fills a rectangle with one grey (DeVries and Taylor, 2017, "cutout"). */
export function coverPart(
  pixels: Uint8Array,
  { width }: ImageSettings,
  { left, top, right, bottom }: Part,
  grey: number,
): void {
  for (let row = top; row < bottom; row++) {
    pixels.fill(grey, (row * width + left) * 3, (row * width + right) * 3);
  }
}
