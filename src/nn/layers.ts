/** @file Layers with Keras' names, defaults and arithmetic, in graph ops. */
import { FaceError } from "../base/errors.ts";
import { shapeText } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import type { Node, Padding, Pair } from "../graph/ops.ts";
import { constantOf, glorotUniform, type Initializer, ones, zeros } from "./initializers.ts";
import type { NetworkBuilder } from "./network-builder.ts";

/** Activation functions of layers. */
export type Activation = "linear" | "relu" | "sigmoid";

const ACTIVATIONS: { readonly [A in Activation]: (x: Node) => Node } = {
  linear: (x) => x,
  relu: g.relu,
  sigmoid: g.sigmoid,
};

function channelsOf(x: Node, layer: string): number {
  const channels = x.shape.at(-1);
  if (typeof channels === "number") return channels;
  throw new FaceError(
    "SHAPE_MISMATCH",
    `${layer}: the number of channels must be known, got ${shapeText(x.shape)}`,
  );
}

const NO_FANS = { in: 1, out: 1 };

/** Adds a learned bias per channel, if wanted. */
function biased(net: NetworkBuilder, name: string, x: Node, useBias: boolean): Node {
  if (!useBias) return x;
  const bias = net.weight(`${name}/bias`, [channelsOf(x, name)], { initializer: zeros, fans: NO_FANS });
  return g.labelled(g.add(x, bias), name);
}

interface LayerOptions {
  readonly activation?: Activation;
  readonly useBias?: boolean;
  readonly initializer?: Initializer;
}

export interface Conv2DOptions extends LayerOptions {
  readonly filters: number;
  readonly kernelSize: Pair;
  readonly strides?: Pair;
  readonly padding?: Padding;
}

/** The convolution with a learned kernel `[height, width, in / groups, out]`, and its bias. */
function convolved(
  net: NetworkBuilder,
  name: string,
  x: Node,
  { kernelSize, strides = [1, 1], padding = "same", useBias = true, ...options }: DepthwiseConv2DOptions,
  [inputs, outputs]: Pair,
  fans?: { readonly in: number; readonly out: number },
): Node {
  const kernel = net.weight(`${name}/kernel`, [...kernelSize, inputs, outputs], {
    initializer: options.initializer ?? glorotUniform,
    decays: true,
    ...(fans && { fans }),
  });
  const groups = channelsOf(x, name) / inputs;
  return biased(net, name, g.labelled(g.conv2d(x, kernel, { strides, padding, groups }), name), useBias);
}

/** Convolution of images `[batch, height, width, channels]`; by default with stride 1 and SAME padding. */
export function conv2D(net: NetworkBuilder, name: string, x: Node, options: Conv2DOptions): Node {
  const { filters, activation = "linear" } = options;
  const y = convolved(net, name, x, options, [channelsOf(x, name), filters]);
  return net.record(name, "Conv2D", [x], ACTIVATIONS[activation](y));
}

export type DepthwiseConv2DOptions = Omit<Conv2DOptions, "filters" | "activation">;

/** One kernel for each channel. */
export function depthwiseConv2D(
  net: NetworkBuilder,
  name: string,
  x: Node,
  options: DepthwiseConv2DOptions,
): Node {
  const channels = channelsOf(x, name);
  const field = options.kernelSize[0] * options.kernelSize[1];
  // Keras' kernel is [height, width, channels, 1], and its fans follow from that shape.
  const fans = { in: field * channels, out: field };
  const y = convolved(net, name, x, options, [1, channels], fans);
  return net.record(name, "DepthwiseConv2D", [x], y);
}

export interface DenseOptions extends LayerOptions {
  readonly units: number;
}

/** `activation(x · kernel + bias)` on rows `[batch, features]`. */
export function dense(net: NetworkBuilder, name: string, x: Node, options: DenseOptions): Node {
  const { units, activation = "linear", useBias = true, initializer = glorotUniform } = options;
  const kernel = net.weight(`${name}/kernel`, [channelsOf(x, name), units], { initializer, decays: true });
  const product = g.labelled(g.matmul(x, kernel), name);
  return net.record(name, "Dense", [x], ACTIVATIONS[activation](biased(net, name, product, useBias)));
}

export interface BatchNormalizationOptions {
  /** Decay of the running statistics. Default 0.99. */
  readonly momentum?: number;
  /** Added to the variance. Default 1e-3. */
  readonly epsilon?: number;
}

/**
 * Batch normalisation over all axes but the last (Ioffe and Szegedy, 2015). Training uses the batch's mean and population
 * variance and updates the running ones; inference uses the running ones, and so does training where the network keeps them.
 */
export function batchNormalization(
  net: NetworkBuilder,
  name: string,
  x: Node,
  options: BatchNormalizationOptions = {},
): Node {
  const { momentum = 0.99, epsilon = 1e-3 } = options;
  const channels = channelsOf(x, name);
  const vector = (role: string, initializer: Initializer, trainable: boolean) =>
    net.weight(`${name}/${role}`, [channels], { initializer, trainable, fans: NO_FANS });
  const gamma = vector("gamma", ones, true);
  const beta = vector("beta", zeros, true);
  let mean = vector("moving_mean", zeros, false);
  let variance = vector("moving_variance", ones, false);
  if (net.mode === "training" && !net.keepsStatistics) {
    const batch = g.channelMoments(x);
    const moved = (role: string, value: Node) =>
      net.update(
        `${name}/${role}`,
        g.add(g.mul(net.currentValue(`${name}/${role}`), momentum), g.mul(value, 1 - momentum)),
      );
    moved("moving_mean", batch.mean);
    moved("moving_variance", batch.variance);
    ({ mean, variance } = batch);
  }
  const scale = g.div(gamma, g.sqrt(g.add(variance, epsilon)));
  const shift = g.sub(beta, g.mul(mean, scale));
  return net.record(name, "BatchNormalization", [x], g.labelled(g.affine(x, scale, shift), name));
}

/** Max pooling; by default the windows do not overlap. */
export function maxPooling2D(
  net: NetworkBuilder,
  name: string,
  x: Node,
  size: Pair,
  strides: Pair = size,
): Node {
  return net.record(name, "MaxPooling2D", [x], g.labelled(g.maxPool(x, { size, strides }), name));
}

/** PReLU with a learned slope per channel (He et al., 2015, with their initial slope). */
export function prelu(net: NetworkBuilder, name: string, x: Node, initialSlope = 0.25): Node {
  const slope = net.weight(`${name}/alpha`, [channelsOf(x, name)], {
    initializer: constantOf(initialSlope),
    fans: NO_FANS,
  });
  return net.record(name, "PReLU", [x], g.labelled(g.prelu(x, slope), name));
}

/** `[batch, height, width, channels] → [batch, height · width · channels]` */
export function flatten(net: NetworkBuilder, name: string, x: Node): Node {
  return net.record(name, "Flatten", [x], g.labelled(g.flatten(x), name));
}

/** Sum of two equal shapes, as around a residual block. */
export function addLayers(net: NetworkBuilder, name: string, a: Node, b: Node): Node {
  return net.record(name, "Add", [a, b], g.labelled(g.add(a, b), name));
}

/** Dropout in training; the identity at inference. */
export function dropout(net: NetworkBuilder, name: string, x: Node, rate: number): Node {
  const same = x.shape.map(() => 0);
  const isOff = net.mode === "inference" || rate === 0;
  return net.record(name, "Dropout", [x], isOff ? g.reshape(x, same) : g.dropout(x, rate, name));
}
