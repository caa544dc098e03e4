/** @file Gabor features: responses to waves, and what they are invariant to. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { float32, floats } from "../base/tensor.ts";
import { constant } from "../graph/build.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { gaborFeatures } from "./gabor.ts";

const SIDE = 21;
const WAVELENGTHS = [3, 4.5, 7];
const DIRECTIONS = 8;

/** An image whose brightness is a wave. */
function waves(wavelength: number, direction: number, contrast = 0.3, light = 0.5, phase = 0): Float32Array {
  const angle = (Math.PI * direction) / DIRECTIONS;
  return Float32Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const along = (pixel % SIDE) * Math.cos(angle) + Math.floor(pixel / SIDE) * Math.sin(angle);
    return light + contrast * Math.cos((2 * Math.PI * along) / wavelength + phase);
  });
}

const responsesTo = (pixels: Float32Array): Float32Array => {
  const image = constant(float32([1, SIDE, SIDE, 3], pixels));
  const [answers] = evaluate([gaborFeatures(new NetworkBuilder("inference"), image)]);
  return floats(answers!);
};

describe("Gabor features", () => {
  it("answers most with the wavelet of the wave's length and direction", () => {
    WAVELENGTHS.forEach((wavelength, length) => {
      for (const direction of [0, 2, 5]) {
        const answers = responsesTo(waves(wavelength, direction)).subarray(
          0,
          WAVELENGTHS.length * DIRECTIONS,
        );
        expect(answers.indexOf(Math.max(...answers))).toBe(length * DIRECTIONS + direction);
      }
    });
  });

  it("tells of a grid of cells, each its own share of all wavelets", () => {
    const answers = responsesTo(waves(4.5, 1));
    expect(answers).toHaveLength(2 * 2 * WAVELENGTHS.length * DIRECTIONS);
    for (let cell = 0; cell < 4; cell++) {
      const shares = answers.subarray(cell * 24, (cell + 1) * 24).map((value) => value * value);
      const sum = shares.reduce((total, share) => total + share, 0);
      expect(sum).toBeGreaterThan(0.5);
      expect(sum).toBeLessThan(1);
    }
  });

  it("does not care how light an image is, and little about contrast and where the wave begins", () => {
    const plain = responsesTo(waves(4.5, 3));
    expect(responsesTo(waves(4.5, 3, 0.3, 0.6))).toBeAllClose(plain, { absolute: 1e-3, relative: 1e-3 });
    expect(responsesTo(waves(4.5, 3, 0.2))).toBeAllClose(plain, { absolute: 0.1, relative: 0.1 });
    expect(responsesTo(waves(4.5, 3, 0.3, 0.5, 1))).toBeAllClose(plain, { absolute: 0.1, relative: 0.1 });
  });

  it("refuses an image that is smaller than a kernel and a cell", () => {
    const image = constant(float32([1, 14, 14, 3], new Float32Array(14 * 14 * 3)));
    expect(() => gaborFeatures(new NetworkBuilder("inference"), image)).toThrow(
      /at least 15×15 pixels, got 14×14/,
    );
  });
});
