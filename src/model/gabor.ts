/** @file Gabor features: the response of Gabor wavelets of several wavelengths and orientations in each cell of a grid. */
import { FaceError } from "../base/errors.ts";
import { float32 } from "../base/tensor.ts";
import { add, avgPool, constant, conv2d, div, flatten, reduceSum, sqrt, square } from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import type { NetworkBuilder } from "../nn/network-builder.ts";

/** Wavelengths in pixels. */
const WAVELENGTHS = [3, 4.5, 7];
const DIRECTIONS = 8;
const WAVELETS = WAVELENGTHS.length * DIRECTIONS;
/** Side of the kernels in pixels. */
const KERNEL = 11;
/** Standard deviation of a wavelet's envelope, in wavelengths. */
const ENVELOPE = 0.5;
/** Side of a cell of the grid in pixels. */
const CELL = 5;
/** Keeps the argument of the square root above zero. */
const SMALLEST_ENERGY = 1e-8;
/** Mean response of a wavelet below which a cell counts as flat. */
const FLAT = 0.02;
/** Luma of red, green and blue (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114];

/** One wavelet's kernel: a wave under a Gaussian, without a mean, of length 1. */
function wavelet(wavelength: number, angle: number, wave: (phase: number) => number): Float64Array {
  const middle = (KERNEL - 1) / 2;
  const deviation = ENVELOPE * wavelength;
  const at = (position: number) => {
    const [y, x] = [Math.floor(position / KERNEL) - middle, (position % KERNEL) - middle];
    const along = x * Math.cos(angle) + y * Math.sin(angle);
    return { along, envelope: Math.exp(-(x * x + y * y) / (2 * deviation * deviation)) };
  };
  const points = Array.from({ length: KERNEL * KERNEL }, (_, i) => at(i));
  const waves = points.map(({ along, envelope }) => envelope * wave((2 * Math.PI * along) / wavelength));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const mean = sum(waves) / sum(points.map(({ envelope }) => envelope));
  const level = waves.map((value, i) => value - mean * points[i]!.envelope);
  const length = Math.sqrt(sum(level.map((value) => value * value)));
  return Float64Array.from(level, (value) => value / length);
}

/**
 * Kernels `[side, side, 3, 2 · wavelets]` that weigh colours by their luma: all even wavelets (cosine), then all odd ones
 * (sine) (Daugman, 1985, "Uncertainty relation for resolution in space, spatial frequency, and orientation").
 */
function gaborKernels(): Float32Array {
  const bank = [Math.cos, Math.sin].flatMap((wave) =>
    WAVELENGTHS.flatMap((wavelength) =>
      Array.from({ length: DIRECTIONS }, (_, i) => wavelet(wavelength, (Math.PI * i) / DIRECTIONS, wave)),
    ),
  );
  const kernels = new Float32Array(KERNEL * KERNEL * LUMA.length * bank.length);
  bank.forEach((kernel, filter) => {
    kernel.forEach((value, position) => {
      LUMA.forEach((weight, colour) => {
        kernels[(position * LUMA.length + colour) * bank.length + filter] = weight * value;
      });
    });
  });
  return kernels;
}

/** Size of the PCA projection that is fitted to the features. */
export const GABOR_SIZE = 300;

/** Magnitude of each wavelet's response in each cell, whatever its phase: `[batch, rows, columns, wavelets]`. */
function energies(image: Node): Node {
  const kernels = constant(float32([KERNEL, KERNEL, LUMA.length, 2 * WAVELETS], gaborKernels()));
  const squares = square(conv2d(image, kernels, { padding: "valid" }));
  // The sum of each wavelet's even and odd part, as a product with ones and zeros.
  const pairs = Float32Array.from({ length: 2 * WAVELETS * WAVELETS }, (_, i) =>
    Math.floor(i / WAVELETS) % WAVELETS === i % WAVELETS ? 1 : 0,
  );
  const summed = conv2d(squares, constant(float32([1, 1, 2 * WAVELETS, WAVELETS], pairs)));
  return avgPool(sqrt(add(summed, SMALLEST_ENERGY)), { size: [CELL, CELL] });
}

/**
 * Gabor features `[batch, rows · columns · wavelets]`: in each cell the square roots of the wavelets' fractions of the
 * total response, which neither brightness nor contrast changes. The first layer of a scattering network (Bruna and Mallat,
 * 2013, "Invariant Scattering Convolution Networks"), on luma alone.
 * @throws FaceError `CONFIG_INVALID` for an image of fewer than 15 pixels a side.
 */
export function gaborFeatures(net: NetworkBuilder, image: Node): Node {
  const smallest = KERNEL + CELL - 1;
  const sides = image.shape.slice(1, 3).map(Number);
  if (sides.some((side) => side < smallest)) {
    throw new FaceError(
      "CONFIG_INVALID",
      `Gabor features need a crop of at least ${smallest}×${smallest} pixels, got ${sides.join("×")}`,
      { hint: "use larger images or larger `gaborCrops`, or none" },
    );
  }
  const responses = net.record("gabor", "GaborEnergy", [image], energies(image));
  const all = reduceSum(responses, { axes: [3], keepDims: true });
  const fractions = flatten(sqrt(div(responses, add(all, FLAT * WAVELETS))));
  return net.record("shares", "Flatten", [responses], fractions);
}
