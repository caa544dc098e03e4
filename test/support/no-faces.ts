/** @file Pictures without a human face, drawn by program: plain, noise, text, gradients, cartoons, animal heads. */
import { Random } from "../../src/base/random.ts";
import { decodePixels, rasterizeSvg } from "../../src/image/decode.ts";
import type { Pixels } from "../../src/image/settings.ts";

const SIDE = 320;

type Paint = (x: number, y: number) => readonly [number, number, number];

function painted(paint: Paint): Pixels {
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0, at = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++, at += 3) data.set(paint(x, y).map(Math.round), at);
  return { data, width: SIDE, height: SIDE };
}

const colour = (random: Random): [number, number, number] => [
  random.integer(256),
  random.integer(256),
  random.integer(256),
];
const css = (random: Random) => `rgb(${colour(random).join(",")})`;
const skin = (random: Random) =>
  `rgb(${200 + random.integer(50)},${150 + random.integer(50)},${110 + random.integer(50)})`;
const clip = (value: number) => Math.max(0, Math.min(255, value));

function blank(random: Random): Pixels {
  const [r, g, b] = colour(random);
  return painted(() => [r, g, b]);
}

/** Noise in squares of `grain` pixels. */
function noise(random: Random): Pixels {
  const grain = 1 + random.integer(40);
  const spread = 20 + random.integer(110);
  const base = colour(random);
  const columns = Math.ceil(SIDE / grain);
  const values = Float32Array.from({ length: columns * columns * 3 }, () => random.normal() * spread);
  return painted((x, y) => {
    const at = (Math.floor(y / grain) * columns + Math.floor(x / grain)) * 3;
    return [clip(base[0] + values[at]!), clip(base[1] + values[at + 1]!), clip(base[2] + values[at + 2]!)];
  });
}

function gradient(random: Random): Pixels {
  const [from, to] = [colour(random), colour(random)];
  const angle = random.between(0, 2 * Math.PI);
  const radial = random.chance(0.5);
  return painted((x, y) => {
    const [u, v] = [x / SIDE - 0.5, y / SIDE - 0.5];
    const place = radial ? Math.hypot(u, v) : u * Math.cos(angle) + v * Math.sin(angle) + 0.5;
    const mix = (i: 0 | 1 | 2) => clip(from[i] + (to[i] - from[i]) * place);
    return [mix(0), mix(1), mix(2)];
  });
}

function texture(random: Random): Pixels {
  const [first, second] = [colour(random), colour(random)];
  const [a, b] = [random.between(3, 40), random.between(3, 40)];
  const checks = random.chance(0.5);
  return painted((x, y) => {
    const wave = checks ? Math.sin(x / a) * Math.sin(y / b) : Math.sin(x / a + y / b);
    return wave > 0 ? first : second;
  });
}

async function drawn(body: string): Promise<Pixels> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${SIDE}" viewBox="0 0 100 100">${body}</svg>`;
  return decodePixels(await rasterizeSvg(svg));
}

const background = (random: Random) => `<rect width="100" height="100" fill="${css(random)}"/>`;

function text(random: Random): Promise<Pixels> {
  const size = random.between(4, 16);
  const letters = "abcdefghijklmnopqrstuvwxyz    ABCDEFGHIKLMNOPQRSTUVWXYZ0123456789";
  const line = () => Array.from({ length: 24 }, () => letters[random.integer(letters.length)]).join("");
  const lines = Array.from(
    { length: Math.floor(95 / size) },
    (_, i) => `<text x="4" y="${(i + 1) * size}" font-size="${size}">${line()}</text>`,
  );
  return drawn(`<rect width="100" height="100" fill="white"/>${lines.join("")}`);
}

const at = (x: number, y: number, body: string, scale: number) =>
  `<g transform="translate(${x} ${y}) scale(${scale})">${body}</g>`;
const ball = (x: number, y: number, r: number, fill: string, more = "") =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}" ${more}/>`;

/** A smiling disc. */
function cartoon(random: Random): Promise<Pixels> {
  const eye = random.between(2, 6);
  const head =
    ball(0, 0, 40, random.chance(0.5) ? "gold" : css(random), 'stroke="black" stroke-width="2"') +
    ball(-14, -10, eye, "black") +
    ball(14, -10, eye, "black") +
    `<path d="M-20 ${random.between(8, 14)} Q0 ${random.between(15, 38)} 20 10" stroke="black" stroke-width="3" fill="none"/>`;
  return drawn(background(random) + at(50, 50, head, random.between(0.4, 1.1)));
}

/** A box with lamps for eyes. */
function robot(random: Random): Promise<Pixels> {
  const head =
    `<rect x="-30" y="-32" width="60" height="64" rx="6" fill="${css(random)}"/>` +
    `<rect x="-20" y="-16" width="12" height="10" fill="${css(random)}"/>` +
    `<rect x="8" y="-16" width="12" height="10" fill="${css(random)}"/>` +
    `<rect x="-16" y="14" width="32" height="6" fill="${css(random)}"/>`;
  return drawn(background(random) + at(50, 50, head, random.between(0.5, 1.3)));
}

/** Ears, two eyes, a muzzle. */
function animal(random: Random): Promise<Pixels> {
  const fur = random.chance(0.5) ? skin(random) : css(random);
  const [eye, wide] = [random.between(3, 8), random.between(10, 20)];
  const pointed = random.chance(0.5);
  const ear = (side: number) =>
    pointed
      ? `<path d="M${side * 12} -28 L${side * 34} -48 L${side * 36} -12 Z" fill="${fur}"/>`
      : ball(side * 32, -28, 13, fur);
  const whiskers = [-4, 0, 4]
    .map((tilt) => `<path d="M-8 14 L-38 ${12 + tilt * 2} M8 14 L38 ${12 + tilt * 2}" stroke="black"/>`)
    .join("");
  const head =
    ear(-1) +
    ear(1) +
    `<ellipse rx="36" ry="${random.between(30, 38)}" fill="${fur}"/>` +
    ball(-wide, -6, eye, "white") +
    ball(wide, -6, eye, "white") +
    ball(-wide, -6, eye / 2, "black") +
    ball(wide, -6, eye / 2, "black") +
    `<ellipse cy="14" rx="14" ry="10" fill="${css(random)}"/>` +
    `<ellipse cy="10" rx="5" ry="3.5" fill="black"/>` +
    `<path d="M0 13 V20 M-8 22 Q0 26 8 22" stroke="black" stroke-width="1.5" fill="none"/>` +
    (random.chance(0.6) ? whiskers : "");
  return drawn(background(random) + at(50, 54, head, random.between(0.4, 1.2)));
}

const KINDS = { blank, noise, gradient, texture, text, cartoon, robot, animal } as const;

export interface NoFace {
  readonly kind: keyof typeof KINDS;
  readonly pixels: Pixels;
}

/** `count` pictures, as many of each kind; the same for the same seed. */
export async function picturesWithoutFaces(count: number, seed: number): Promise<NoFace[]> {
  const names = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const pictures: NoFace[] = [];
  for (let i = 0; i < count; i++) {
    const kind = names[i % names.length]!;
    pictures.push({ kind, pixels: await KINDS[kind](new Random(seed).fork(kind, i)) });
  }
  return pictures;
}
