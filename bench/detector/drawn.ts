/** @file Pictures without a face, made by program: smooth colours, shapes, and corners of photographs repeated as a mirror does. */
import type { Random } from "../../src/base/random.ts";
import type { Pixels } from "../../src/image/settings.ts";

const blank = (side: number): Pixels => ({
  data: new Uint8Array(side * side * 3),
  width: side,
  height: side,
});

const limited = (value: number) => Math.max(0, Math.min(255, value));
const colour = (random: Random) =>
  [random.between(0, 256), random.between(0, 256), random.between(0, 256)] as const;

/** Sums of a few waves for each colour, from a wall's slow ones to the fast ones of cloth and leaves. */
function waves(side: number, random: Random): Pixels {
  const picture = blank(side);
  const { data } = picture;
  const count = 1 + random.integer(3);
  const alike = random.chance(0.5);
  const pattern = new Float32Array(side * side);
  for (let channel = 0; channel < 3; channel++) {
    const base = random.between(20, 230);
    if (channel === 0 || !alike) {
      pattern.fill(0);
      for (let i = 0; i < count; i++) {
        const [length, angle] = [2 ** random.between(2, 9), random.between(0, Math.PI)];
        const [phase, size] = [random.between(0, 7), random.between(3, 45)];
        const [dx, dy] = [(7 * Math.cos(angle)) / length, (7 * Math.sin(angle)) / length];
        for (let row = 0, at = 0; row < side; row++) {
          // A sine by rotation: two products for each pixel.
          let [sin, cos] = [Math.sin(phase + row * dy), Math.cos(phase + row * dy)];
          const [stepSin, stepCos] = [Math.sin(dx), Math.cos(dx)];
          for (let column = 0; column < side; column++, at++) {
            pattern[at]! += size * sin;
            const next = sin * stepCos + cos * stepSin;
            cos = cos * stepCos - sin * stepSin;
            sin = next;
          }
        }
      }
    }
    for (let i = 0, at = channel; i < pattern.length; i++, at += 3) data[at] = limited(base + pattern[i]!);
  }
  return picture;
}

/** A filled ellipse, rectangle or ring, turned, over what is there. */
function addShape({ data, width: side }: Pixels, random: Random, size: number, x: number, y: number): void {
  const [red, green, blue] = colour(random);
  const [a, b] = [size, size * random.between(0.15, 1)];
  const angle = random.between(0, Math.PI);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const kind = random.integer(3);
  const inner = random.between(0.5, 0.95);
  const reach = Math.ceil(Math.hypot(a, b));
  const [firstRow, lastRow] = [Math.max(0, Math.floor(y - reach)), Math.min(side - 1, Math.ceil(y + reach))];
  const [firstColumn, lastColumn] = [
    Math.max(0, Math.floor(x - reach)),
    Math.min(side - 1, Math.ceil(x + reach)),
  ];
  for (let row = firstRow; row <= lastRow; row++) {
    for (let column = firstColumn; column <= lastColumn; column++) {
      const u = (cos * (column - x) + sin * (row - y)) / a;
      const v = (cos * (row - y) - sin * (column - x)) / b;
      const square = u * u + v * v;
      const isIn =
        kind === 0
          ? square <= 1
          : kind === 1
            ? Math.max(Math.abs(u), Math.abs(v)) <= 1
            : square <= 1 && square >= inner * inner;
      if (!isIn) continue;
      const at = (row * side + column) * 3;
      data[at] = red;
      data[at + 1] = green;
      data[at + 2] = blue;
    }
  }
}

/** Shapes of all sizes; some lie in rows or in mirrored pairs, as windows, letters and the eyes of drawings do. */
function shapes(side: number, random: Random): Pixels {
  const picture = random.chance(0.5) ? waves(side, random) : blank(side);
  if (random.chance(0.5)) {
    const [red, green, blue] = colour(random);
    for (let at = 0; at < picture.data.length; at += 3) {
      picture.data[at] = red;
      picture.data[at + 1] = green;
      picture.data[at + 2] = blue;
    }
  }
  for (let i = 3 + random.integer(10); i > 0; i--) {
    const size = side * 2 ** random.between(-6, -1.5);
    const [x, y] = [random.between(0, side), random.between(0, side)];
    const drawing = random.fork("shape", i);
    switch (random.integer(4)) {
      case 0: {
        // The same shape again and again.
        const step = size * random.between(1.5, 4);
        for (let n = 0; n < 2 + random.integer(8); n++) {
          addShape(picture, drawing.fork(), size, x + n * step, y);
        }
        break;
      }
      case 1: {
        // A disc with two discs and a bar within it, in any place but those of a face as often as not.
        addShape(picture, drawing.fork("head"), size * 2, x, y);
        const [apart, above] = [size * random.between(0.3, 1.1), size * random.between(-1, 1)];
        for (const sign of [-1, 1])
          addShape(picture, drawing.fork("eye"), size / 3, x + sign * apart, y - above);
        addShape(picture, drawing.fork("bar"), size / 2, x, y + above * random.between(0.3, 1.2));
        break;
      }
      default:
        addShape(picture, drawing, size, x, y);
    }
  }
  return picture;
}

const PLAIN = { waves, shapes } as const;

/** A drawn picture without a face. */
export function drawnPicture(side: number, random: Random): Pixels {
  return PLAIN[random.chance(0.5) ? "waves" : "shapes"](side, random);
}

/** A picture tiled with a square of a photograph, each tile the mirror image of its neighbours. */
export function mirrored(
  photograph: Pixels,
  square: { readonly left: number; readonly top: number; readonly side: number },
  side: number,
  random: Random,
): Pixels {
  const picture = blank(side);
  const scale = 2 ** random.between(-1.5, 1);
  const angle = random.between(-Math.PI, Math.PI);
  const [a, b] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  const [x0, y0] = [random.between(0, 1000), random.between(0, 1000)];
  const most = square.side - 1;
  const fold = (place: number) => {
    const rest = ((place % (2 * most)) + 2 * most) % (2 * most);
    return rest > most ? 2 * most - rest : rest;
  };
  for (let row = 0, at = 0; row < side; row++) {
    for (let column = 0; column < side; column++, at += 3) {
      const x = square.left + Math.round(fold(a * column - b * row + x0));
      const y = square.top + Math.round(fold(b * column + a * row + y0));
      const from = (y * photograph.width + x) * 3;
      picture.data[at] = photograph.data[from]!;
      picture.data[at + 1] = photograph.data[from + 1]!;
      picture.data[at + 2] = photograph.data[from + 2]!;
    }
  }
  return picture;
}
