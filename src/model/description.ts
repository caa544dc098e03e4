/** @file What a network is to people: its layers with shapes, parameters and connections. */
import { input } from "../graph/build.ts";
import type { SymbolicShape } from "../graph/ops.ts";
import { countValues, type Layer, NetworkBuilder, type Weight } from "../nn/network-builder.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";
import { head, type ImageSize, imageInput } from "./siamese.ts";

/** One layer; a layer may be a network itself. */
export interface LayerDescription {
  readonly name: string;
  /** Keras' name of its class. */
  readonly kind: string;
  /** Sides of its output; null for the batch's, which may be any. */
  readonly outputShape: readonly (number | null)[];
  /** Single values it holds, running statistics included. */
  readonly parameters: number;
  readonly trainableParameters: number;
  /** Names of the layers it takes its input from; a shared layer stands there once for each use. */
  readonly inputs: readonly string[];
  /** The layers it consists of. */
  readonly inner?: readonly LayerDescription[];
}

/** A Siamese network. */
export interface ModelDescription {
  /** What `--model` calls it. */
  readonly name: string;
  readonly layers: readonly LayerDescription[];
  /** Numbers of single values. */
  readonly total: number;
  readonly trainable: number;
  readonly nonTrainable: number;
}

const EMBEDDING = "embedding";
const IMAGE = "input_image";

const sidesOf = (shape: SymbolicShape) => shape.map((side) => (typeof side === "number" ? side : null));
const trainableOf = (weights: readonly Weight[]) => weights.filter(({ trainable }) => trainable);

/** An image input, which is a layer in Keras' eyes. */
function inputLayer(name: string, { height, width }: ImageSize): LayerDescription {
  const outputShape = [null, height, width, 3];
  return { name, kind: "InputLayer", outputShape, parameters: 0, trainableParameters: 0, inputs: [] };
}

/** @param source the layer that stands where the network's own input does. */
function described(layer: Layer, source: string, known: ReadonlySet<string>): LayerDescription {
  return {
    name: layer.name,
    kind: layer.kind,
    outputShape: sidesOf(layer.outputShape),
    parameters: countValues(layer.weights),
    trainableParameters: countValues(trainableOf(layer.weights)),
    inputs: layer.inputs.map((name) => (known.has(name) ? name : source)),
  };
}

function describeLayers({ layers }: NetworkBuilder, source: string): LayerDescription[] {
  const known = new Set(layers.map(({ name }) => name));
  return layers.map((layer) => described(layer, source, known));
}

const sum = (layers: readonly LayerDescription[], of: (layer: LayerDescription) => number) =>
  layers.reduce((total, layer) => total + of(layer), 0);

/** Describes the Siamese network around an embedding network: both towers are one layer, used twice. */
export function describe(network: EmbeddingNetwork, image: ImageSize): ModelDescription {
  const tower = new NetworkBuilder("inference");
  const embedding = network.build(tower, imageInput(IMAGE, "batch", image));
  const top = new NetworkBuilder("inference");
  head(top, input("anchor", embedding.shape), input("verification", embedding.shape));
  const inner = [inputLayer(IMAGE, image), ...describeLayers(tower, IMAGE)];
  const images = [inputLayer("anchor_img", image), inputLayer("verification_img", image)];
  const layers: LayerDescription[] = [
    ...images,
    {
      name: EMBEDDING,
      kind: "Functional",
      outputShape: sidesOf(embedding.shape),
      parameters: sum(inner, ({ parameters }) => parameters),
      trainableParameters: sum(inner, ({ trainableParameters }) => trainableParameters),
      inputs: images.map(({ name }) => name),
      inner,
    },
    ...describeLayers(top, EMBEDDING),
  ];
  const total = sum(layers, ({ parameters }) => parameters);
  const trainable = sum(layers, ({ trainableParameters }) => trainableParameters);
  return { name: network.name, layers, total, trainable, nonTrainable: total - trainable };
}
