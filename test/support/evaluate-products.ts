/** @file Evaluates with plain loops what constant folding leaves to the engine: convolutions, pools, softmax, derivatives. */
import { type Shape, sizeOf, type Tensor } from "../../src/base/tensor.ts";
import { rowsOf } from "../../src/graph/evaluate-arithmetic.ts";
import { places, transposed } from "../../src/graph/evaluate-moving.ts";
import { numbersOf, tensorOf } from "../../src/graph/numbers.ts";
import type { ConvAttrs, OpAttrs, Pair, PoolAttrs } from "../../src/graph/ops.ts";
import { outputSize, resolvePads } from "../../src/graph/windows.ts";

/** Windows over a batch of images. */
interface Windows {
  readonly input: Shape;
  readonly output: Shape;
  readonly size: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  /** Rows above and columns left of the image. */
  readonly margin: Pair;
}

/** The windows that slide over images of the given `[batch, height, width, channels]`. */
function windowsOver(
  input: Shape,
  { size, strides, padding, dilations = [1, 1] }: PoolAttrs & Partial<Pick<ConvAttrs, "dilations">>,
): Windows {
  const [batch, height, width, channels] = input as [number, number, number, number];
  const pads = resolvePads(padding, [height, width], size, strides, dilations);
  const sides = outputSize("window", [height, width], { size, strides, padding, dilations }) as Pair;
  const output = [batch, ...sides, channels];
  return { input, output, size, strides, dilations, margin: [pads[0][0], pads[1][0]] };
}

/** A window along one axis, a tap of it, and the image position under the tap. */
interface Tap {
  readonly window: number;
  readonly tap: number;
  readonly place: number;
}

/** All taps along one axis that lie on the image, not on its margins. */
function tapsAlong(axis: 0 | 1, { input, output, size, strides, dilations, margin }: Windows): Tap[] {
  const taps: Tap[] = [];
  for (let window = 0; window < output[axis + 1]!; window++)
    for (let tap = 0; tap < size[axis]; tap++) {
      const place = window * strides[axis] + tap * dilations[axis] - margin[axis];
      if (place >= 0 && place < input[axis + 1]!) taps.push({ window, tap, place });
    }
  return taps;
}

/** Visits every pair of a window and an image position under it; positions are `(batch · height + y) · width + x`. */
function forEachTap(
  windows: Windows,
  visit: (outputPosition: number, inputPosition: number, tap: number) => void,
): void {
  const { input, output, size } = windows;
  const [down, across] = [tapsAlong(0, windows), tapsAlong(1, windows)];
  for (let n = 0; n < input[0]!; n++)
    for (const y of down)
      for (const x of across) {
        const outputPosition = (n * output[1]! + y.window) * output[2]! + x.window;
        const inputPosition = (n * input[1]! + y.place) * input[2]! + x.place;
        visit(outputPosition, inputPosition, y.tap * size[1] + x.tap);
      }
}

/**
 * Visits every product of a convolution's sum, as the indices of its elements in image, kernel and result. The
 * convolution and both derivatives are this one sum: each adds the product of two of the elements to the third.
 */
function forEachProduct(
  image: Shape,
  kernel: Shape,
  attrs: ConvAttrs,
  visit: (image: number, kernel: number, result: number) => void,
): void {
  const [height, width, perGroup, out] = kernel as [number, number, number, number];
  const channels = image[3]!;
  const outPerGroup = out / attrs.groups;
  forEachTap(
    windowsOver(image, { ...attrs, size: [height, width] }),
    (outputPosition, inputPosition, tap) => {
      for (let o = 0; o < out; o++) {
        const firstChannel = Math.floor(o / outPerGroup) * perGroup;
        for (let i = 0; i < perGroup; i++) {
          const kernelAt = (tap * perGroup + i) * out + o;
          visit(inputPosition * channels + firstChannel + i, kernelAt, outputPosition * out + o);
        }
      }
    },
  );
}

/** A tensor of sums that are added up in double precision. */
function summed(like: Tensor, shape: Shape, addUp: (sums: Float64Array) => void): Tensor {
  const sums = new Float64Array(sizeOf(shape));
  addUp(sums);
  return tensorOf(like.dtype, shape, (out) => {
    for (let i = 0; i < sums.length; i++) out[i] = sums[i]!;
  });
}

export function evaluateConv([x, kernel]: readonly Tensor[], attrs: ConvAttrs): Tensor {
  const [height, width, , out] = kernel!.shape as [number, number, number, number];
  const { output } = windowsOver(x!.shape, { ...attrs, size: [height, width] });
  const [images, weights] = [numbersOf(x!), numbersOf(kernel!)];
  return summed(x!, output.with(3, out), (sums) =>
    forEachProduct(x!.shape, kernel!.shape, attrs, (i, k, o) => {
      sums[o]! += images[i]! * weights[k]!;
    }),
  );
}

export function evaluateConvInputGrad(
  [dy, kernel]: readonly Tensor[],
  attrs: OpAttrs["conv2dInputGrad"],
): Tensor {
  const shape = [dy!.shape[0]!, ...attrs.inputSize, kernel!.shape[2]! * attrs.groups];
  const [derivatives, weights] = [numbersOf(dy!), numbersOf(kernel!)];
  return summed(dy!, shape, (sums) =>
    forEachProduct(shape, kernel!.shape, attrs, (i, k, o) => {
      sums[i]! += derivatives[o]! * weights[k]!;
    }),
  );
}

export function evaluateConvKernelGrad(
  [x, dy]: readonly Tensor[],
  attrs: OpAttrs["conv2dKernelGrad"],
): Tensor {
  const shape = [...attrs.kernelSize, x!.shape[3]! / attrs.groups, dy!.shape[3]!];
  const [images, derivatives] = [numbersOf(x!), numbersOf(dy!)];
  return summed(x!, shape, (sums) =>
    forEachProduct(x!.shape, shape, attrs, (i, k, o) => {
      sums[k]! += images[i]! * derivatives[o]!;
    }),
  );
}

/** Visits every pair of an output element of a pool and an input element under its window, as indices. */
function forEachPooled(windows: Windows, visit: (output: number, input: number) => void): void {
  const channels = windows.input[3]!;
  forEachTap(windows, (outputPosition, inputPosition) => {
    for (let c = 0; c < channels; c++) visit(outputPosition * channels + c, inputPosition * channels + c);
  });
}

export function evaluateMaxPool([x]: readonly Tensor[], attrs: PoolAttrs): Tensor {
  const windows = windowsOver(x!.shape, attrs);
  const images = numbersOf(x!);
  return tensorOf(x!.dtype, windows.output, (out) => {
    const greatest = new Float64Array(out.length).fill(Number.NEGATIVE_INFINITY);
    forEachPooled(windows, (o, i) => {
      greatest[o] = Math.max(greatest[o]!, images[i]!);
    });
    for (let i = 0; i < out.length; i++) out[i] = greatest[i]!;
  });
}

export function evaluateMaxPoolGrad([dy, x, y]: readonly Tensor[], attrs: PoolAttrs): Tensor {
  const [derivatives, images, greatest] = [numbersOf(dy!), numbersOf(x!), numbersOf(y!)];
  const windows = windowsOver(x!.shape, attrs);
  const sharers = new Float64Array(greatest.length);
  forEachPooled(windows, (o, i) => {
    if (images[i] === greatest[o]) sharers[o]! += 1;
  });
  return summed(x!, x!.shape, (sums) =>
    forEachPooled(windows, (o, i) => {
      if (images[i] === greatest[o]) sums[i]! += derivatives[o]! / sharers[o]!;
    }),
  );
}

/** How many elements of the image each window covers. */
function counts(windows: Windows): Float64Array {
  const covered = new Float64Array(sizeOf(windows.output));
  forEachPooled(windows, (o) => {
    covered[o]! += 1;
  });
  return covered;
}

export function evaluateAvgPool([x]: readonly Tensor[], attrs: PoolAttrs): Tensor {
  const windows = windowsOver(x!.shape, attrs);
  const [images, covered] = [numbersOf(x!), counts(windows)];
  return summed(x!, windows.output, (sums) =>
    forEachPooled(windows, (o, i) => {
      sums[o]! += images[i]! / covered[o]!;
    }),
  );
}

export function evaluateAvgPoolGrad([dy]: readonly Tensor[], attrs: OpAttrs["avgPoolGrad"]): Tensor {
  const [batch, , , channels] = dy!.shape as [number, number, number, number];
  const windows = windowsOver([batch, ...attrs.inputSize, channels], attrs);
  const [derivatives, covered] = [numbersOf(dy!), counts(windows)];
  return summed(dy!, windows.input, (sums) =>
    forEachPooled(windows, (o, i) => {
      sums[i]! += derivatives[o]! / covered[o]!;
    }),
  );
}

export function evaluateSoftmax([x]: readonly Tensor[], { axis }: OpAttrs["softmax"]): Tensor {
  const rows = rowsOf(x!, [axis]);
  const values = numbersOf(rows.tensor);
  const shape = rows.perm.map((i) => x!.shape[i]!);
  const result = tensorOf(x!.dtype, shape, (out) => {
    for (let first = 0; first < out.length; first += rows.length) {
      let [greatest, sum] = [Number.NEGATIVE_INFINITY, 0];
      for (let i = 0; i < rows.length; i++) greatest = Math.max(greatest, values[first + i]!);
      for (let i = 0; i < rows.length; i++) sum += Math.exp(values[first + i]! - greatest);
      for (let i = 0; i < rows.length; i++) out[first + i] = Math.exp(values[first + i]! - greatest) / sum;
    }
  });
  return transposed(
    result,
    rows.perm.map((_, axis) => rows.perm.indexOf(axis)),
  );
}

/** Mean square distance from the given mean, per channel of the last axis. */
export function evaluateChannelVariance([x, mean]: readonly Tensor[]): Tensor {
  const [values, means] = [numbersOf(x!), numbersOf(mean!)];
  const channels = means.length;
  return tensorOf(x!.dtype, mean!.shape, (out) => {
    const sums = new Float64Array(channels);
    for (let i = 0; i < values.length; i++) sums[i % channels]! += (values[i]! - means[i % channels]!) ** 2;
    for (let c = 0; c < channels; c++) out[c] = sums[c]! / (values.length / channels);
  });
}

export function evaluateGatherGrad(
  [dy, indices]: readonly Tensor[],
  { axis, length }: OpAttrs["gatherGrad"],
): Tensor {
  const before = dy!.shape.slice(0, axis);
  const after = dy!.shape.slice(axis + indices!.shape.length);
  const picked = places(indices!, length);
  const [outer, inner] = [sizeOf(before), sizeOf(after)];
  const derivatives = numbersOf(dy!);
  return tensorOf(dy!.dtype, [...before, length, ...after], (out) => {
    const sums = new Float64Array(out.length);
    for (let o = 0, from = 0; o < outer; o++)
      for (const place of picked)
        for (let i = 0; i < inner; i++) sums[(o * length + place) * inner + i]! += derivatives[from++]!;
    for (let i = 0; i < sums.length; i++) out[i] = sums[i]!;
  });
}
