/** @file Random changes: what they do, and that the seed alone decides. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { augmentImage } from "./augment.ts";
import { augmentSettings } from "./augment-settings.ts";
import { smearAlong, turnHues } from "./camera.ts";
import type { ImageSettings } from "./settings.ts";
import { projectImage, squareToPlaces, warpImage } from "./warp.ts";

const SETTINGS: ImageSettings = { height: 5, width: 6, channels: 3 };
const IMAGE = Uint8Array.from({ length: 5 * 6 * 3 }, (_, i) => i);
const at = (pixels: Uint8Array, row: number, column: number) => pixels[(row * 6 + column) * 3]!;

const SIZE: ImageSettings = { height: 40, width: 36, channels: 3 };
const PICTURE = Uint8Array.from({ length: 40 * 36 * 3 }, (_, i) => (i * i * 7 + 13 * i) % 251);

describe("augmentImage", () => {
  it("returns the very same pixels when nothing is to be changed", () => {
    expect(augmentImage(IMAGE, SETTINGS, {}, new Random(1))).toBe(IMAGE);
  });

  it("mirrors left and right with the given probability", () => {
    const mirrored = augmentImage(IMAGE, SETTINGS, { flip: 1 }, new Random(1));
    for (let row = 0; row < 5; row++) {
      for (let column = 0; column < 6; column++)
        expect(at(mirrored, row, column)).toBe(at(IMAGE, row, 5 - column));
    }
    expect(augmentImage(mirrored, SETTINGS, { flip: 1 }, new Random(2))).toEqual(IMAGE);
    const flips = Array.from({ length: 400 }, (_, seed) =>
      augmentImage(IMAGE, SETTINGS, { flip: 0.5 }, new Random(seed)),
    );
    expect(flips.filter((pixels) => pixels !== IMAGE).length).toBeGreaterThan(150);
    expect(flips.filter((pixels) => pixels === IMAGE).length).toBeGreaterThan(150);
  });

  it("shifts within its limit and repeats the border", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const shifted = augmentImage(IMAGE, SETTINGS, { shift: 0.34 }, new Random(seed));
      const centre = at(shifted, 2, 2);
      const column = (centre / 3) % 6;
      const row = Math.floor(centre / 18);
      seen.add(`${2 - column} ${2 - row}`);
      expect(Math.abs(2 - column)).toBeLessThanOrEqual(2);
      expect(Math.abs(2 - row)).toBeLessThanOrEqual(2);
    }
    expect(seen.size).toBe(25);
  });

  it("is decided by the seed alone and never changes its input", () => {
    const before = IMAGE.slice();
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, flip) => {
        const settings = { flip, shift: 0.2 };
        const once = augmentImage(IMAGE, SETTINGS, settings, new Random(seed));
        expect(augmentImage(IMAGE, SETTINGS, settings, new Random(seed))).toEqual(once);
        expect(IMAGE).toEqual(before);
      }),
    );
  });

  it("leaves decoded pictures alone, whose slices are views", () => {
    const decoded = Buffer.from(PICTURE);
    for (let seed = 0; seed < 200; seed++) {
      const changed = augmentImage(decoded, SIZE, augmentSettings("strong"), new Random(seed));
      expect(new Uint8Array(changed)).toEqual(
        augmentImage(PICTURE, SIZE, augmentSettings("strong"), new Random(seed)),
      );
    }
    expect(new Uint8Array(decoded)).toEqual(PICTURE);
  });

  it.each([
    ["light", augmentSettings("light"), "0ae3699f1a76c993e00c4f7d46ff74f60084de2f478a64d30691bc40357c4d8d"],
    ["strong", augmentSettings("strong"), "c67baf14e924c14814c0e6f7a5139970064aeb63ebc5c422bebf5334818c1348"],
  ])("does to the bit what %s did when models were trained with it", (_, augment, expected) => {
    const hash = createHash("sha256");
    for (let seed = 0; seed < 200; seed++)
      hash.update(augmentImage(PICTURE, SIZE, augment, new Random(seed)));
    expect(hash.digest("hex")).toBe(expected);
  });
});

describe("DigiFace-1M's augmentation", () => {
  // The paper's probabilities; of brightness, contrast, saturation and hue together.
  it.each([
    ["flip", 0.5],
    ["crop", 0.2],
    ["project", 1],
    ["colour", 1 - 0.85 * 0.7 * 0.9 * 0.9],
    ["grey", 0.01],
    ["soft", 0.05],
    ["motion", 0.05],
    ["coarse", 0.01],
    ["noise", 0.035],
    ["jpeg", 0.05],
  ] as const)("does %s as often as the paper says", (name, chance) => {
    const draws = 3000;
    const augment = { [name]: augmentSettings("digiface")[name] };
    const small = { height: 6, width: 6, channels: 3 } as const;
    const picture = PICTURE.slice(0, 6 * 6 * 3);
    let changed = 0;
    for (let seed = 0; seed < draws; seed++) {
      changed += augmentImage(picture, small, augment, new Random(seed)) === picture ? 0 : 1;
    }
    // Four standard deviations.
    const spread = 4 * Math.sqrt((chance * (1 - chance)) / draws);
    expect(Math.abs(changed / draws - chance)).toBeLessThanOrEqual(spread);
  });

  it("names every change, and no other", () => {
    expect(Object.keys(augmentSettings("digiface")).sort()).toEqual(
      ["flip", "crop", "project", "colour", "grey", "soft", "motion", "coarse", "noise", "jpeg"].sort(),
    );
  });

  it("crops to a part that stays where it is, on black", () => {
    const white = new Uint8Array(PICTURE.length).fill(255);
    const shares = Array.from({ length: 200 }, (_, seed) => {
      const cropped = augmentImage(PICTURE, SIZE, { crop: 1 }, new Random(seed));
      const mask = augmentImage(white, SIZE, { crop: 1 }, new Random(seed));
      expect(cropped).toEqual(PICTURE.map((value, i) => (mask[i] === 255 ? value : 0)));
      return mask.filter((value) => value === 255).length / mask.length;
    });
    expect(Math.min(...shares)).toBeGreaterThan(0.17);
    expect(Math.min(...shares)).toBeLessThan(0.3);
    expect(Math.max(...shares)).toBeGreaterThan(0.85);
  });
});

describe("projectImage", () => {
  const still = { angle: 0, zoom: 1, aspect: 1, right: 0, down: 0 };
  const nowhere = { right: 0, down: 0 };

  it("leaves a picture as it is when nothing moves, and warps as warpImage does when no corner moves", () => {
    const corners = [nowhere, nowhere, nowhere, nowhere];
    expect(projectImage(PICTURE, SIZE, still, corners)).toEqual(warpImage(PICTURE, SIZE, still));
    const move = { angle: 0.2, zoom: 1.1, aspect: 0.9, right: 2, down: -1 };
    const [ours, theirs] = [projectImage(PICTURE, SIZE, move, corners), warpImage(PICTURE, SIZE, move)];
    // Rounding may fall the other way.
    expect(ours.filter((value, i) => Math.abs(value - theirs[i]!) > 1)).toHaveLength(0);
  });

  it("fetches each corner from where it was moved to, and keeps straight lines straight", () => {
    const places = [
      [2, 1],
      [30, 4],
      [33, 38],
      [1, 35],
    ] as const;
    const at = [
      [0, 0],
      [35, 0],
      [35, 39],
      [0, 39],
    ] as const;
    const corners = places.map(([x, y], i) => ({ right: x - at[i]![0], down: y - at[i]![1] }));
    const projected = projectImage(PICTURE, SIZE, still, corners);
    places.forEach(([x, y], i) => {
      const [column, row] = at[i]!;
      for (let channel = 0; channel < 3; channel++) {
        const wanted = PICTURE[(y * 36 + x) * 3 + channel]!;
        expect(Math.abs(projected[(row * 36 + column) * 3 + channel]! - wanted)).toBeLessThanOrEqual(1);
      }
    });
    // The diagonals of the square cross where those of the four places do.
    const [a, b, c, d, e, f, g, h] = squareToPlaces(places);
    const w = (g! + h!) / 2 + 1;
    const middle = [((a! + b!) / 2 + c!) / w, ((d! + e!) / 2 + f!) / w] as const;
    const side = ([x0, y0]: readonly number[], [x1, y1]: readonly number[]) =>
      (x1! - x0!) * (middle[1] - y0!) - (y1! - y0!) * (middle[0] - x0!);
    expect(side(places[0], places[2])).toBeCloseTo(0, 8);
    expect(side(places[1], places[3])).toBeCloseTo(0, 8);
  });
});

describe("turnHues", () => {
  const colours = Uint8Array.of(200, 120, 90, 60, 140, 100, 128, 128, 128, 90, 100, 190);
  const brightness = (pixels: Uint8Array, i: number) =>
    0.299 * pixels[i]! + 0.587 * pixels[i + 1]! + 0.114 * pixels[i + 2]!;

  it("keeps brightness and greys, changes colours, and comes back", () => {
    const turned = colours.slice();
    turnHues(turned, 20);
    for (let i = 0; i < colours.length; i += 3)
      expect(Math.abs(brightness(turned, i) - brightness(colours, i))).toBeLessThan(1);
    expect([...turned.subarray(6, 9)]).toEqual([128, 128, 128]);
    expect(Math.abs(turned[0]! - colours[0]!)).toBeGreaterThan(5);
    turnHues(turned, -20);
    expect(turned.filter((value, i) => Math.abs(value - colours[i]!) > 2)).toHaveLength(0);
  });
});

describe("smearAlong", () => {
  it("spreads a point along the way of the camera", () => {
    const point = new Uint8Array(SIZE.height * SIZE.width * 3);
    const middle = (20 * 36 + 18) * 3;
    point[middle] = 250;
    smearAlong(point, SIZE, 0, 4);
    const lit = [...point.keys()].filter((i) => point[i] !== 0);
    expect(lit).toEqual([-2, -1, 0, 1, 2].map((step) => middle + 3 * step));
    expect(lit.map((i) => point[i])).toEqual([50, 50, 50, 50, 50]);
  });
});
