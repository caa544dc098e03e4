/** @file What a network is to people: its layers with shapes, parameters and connections. */
import { EMBED, PAIR } from "../artifact/signatures.ts";
import { input } from "../graph/build.ts";
import type { SymbolicShape } from "../graph/ops.ts";
import { countValues, type Layer, NetworkBuilder, type Weight } from "../nn/network-builder.ts";
import { backbone, type ImageSize, isPlain, LOOK, viewName } from "./backbone.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";
import { head, imageInput } from "./siamese.ts";
import { textureName } from "./texture.ts";

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
const IMAGE = EMBED.image;

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

/** A network as one layer. */
function functional(
  name: string,
  inner: readonly LayerDescription[],
  inputs: readonly string[],
): LayerDescription {
  return {
    name,
    kind: "Functional",
    outputShape: inner.at(-1)!.outputShape,
    parameters: sum(inner, ({ parameters }) => parameters),
    trainableParameters: sum(inner, ({ trainableParameters }) => trainableParameters),
    inputs,
    inner,
  };
}

/** The layers again, with other names for what they take their input from. */
const reconnected = (layers: readonly LayerDescription[], rename: (name: string) => string) =>
  layers.map((layer) => ({ ...layer, inputs: layer.inputs.map(rename) }));

/**
 * One look at an image, from its layers: a crop, the network, which may see the mirrored image too, and the mean
 * direction.
 */
function describeLook(
  name: string,
  layers: readonly LayerDescription[],
  image: ImageSize,
): LayerDescription[] {
  const found = (wanted: string) => layers.filter((layer) => layer.name === wanted);
  const [crop, mirrored, direction] = [LOOK.crop, LOOK.mirrored, LOOK.direction].map(found);
  const around: ReadonlySet<string> = new Set(Object.values(LOOK));
  const own = layers.filter((layer) => !around.has(layer.name));
  const seen = crop![0]?.name ?? IMAGE;
  const passes = [seen, ...mirrored!.map((layer) => layer.name)];
  const { outputShape } = crop![0] ?? inputLayer(IMAGE, image);
  const network = functional(
    name,
    [
      { ...inputLayer(IMAGE, image), outputShape },
      ...reconnected(own, (input) => (input === seen ? IMAGE : input)),
    ],
    passes,
  );
  return [...crop!, ...mirrored!, network, ...reconnected(direction!, () => name)];
}

/** The layers of a part that has names of its own, without the part's name. */
function layersWithin(part: string, layers: readonly LayerDescription[]): LayerDescription[] {
  const prefix = `${part}/`;
  const plain = (text: string) => (text.startsWith(prefix) ? text.slice(prefix.length) : text);
  const own = layers.filter((layer) => layer.name.startsWith(prefix));
  return reconnected(own, plain).map((layer) => ({ ...layer, name: plain(layer.name) }));
}

/** The backbone in use: several looks at the image, joined, and mapped. */
function describeStages(
  { name }: EmbeddingNetwork,
  layers: readonly LayerDescription[],
  image: ImageSize,
): LayerDescription[] {
  const { views = [], texture = [] } = image;
  if (views.length === 0) {
    const after = layers.findIndex((layer) => layer.name === LOOK.direction) + 1;
    return [...describeLook(name, layers.slice(0, after), image), ...layers.slice(after)];
  }
  const looks = views.map((_, view) => {
    const own = layersWithin(viewName(view), layers);
    return functional(viewName(view), [inputLayer(IMAGE, image), ...describeLook(name, own, image)], [IMAGE]);
  });
  const textures = texture.map((_, i) => {
    const name = textureName(i);
    return functional(name, [inputLayer(IMAGE, image), ...layersWithin(name, layers)], [IMAGE]);
  });
  const joined = layers.filter((layer) => !layer.name.includes("/"));
  return [...looks, ...textures, ...reconnected(joined, (input) => input.split("/")[0]!)];
}

/**
 * Describes the Siamese network around an embedding network as it is used: both backbones are one layer, used twice. Views,
 * the mirrored image and the metric are layers of it.
 */
export function describe(network: EmbeddingNetwork, image: ImageSize): ModelDescription {
  const net = new NetworkBuilder("inference");
  const embedding = backbone(net, network, imageInput(IMAGE, "batch", image), image);
  const top = new NetworkBuilder("inference");
  head(top, input("anchor", embedding.shape), input("verification", embedding.shape));
  const written = describeLayers(net, IMAGE);
  const stages = isPlain(image) ? written : describeStages(network, written, image);
  const images = [inputLayer(PAIR.anchor, image), inputLayer(PAIR.verification, image)];
  const layers: LayerDescription[] = [
    ...images,
    functional(
      EMBEDDING,
      [inputLayer(IMAGE, image), ...stages],
      images.map(({ name }) => name),
    ),
    ...describeLayers(top, EMBEDDING),
  ];
  const total = sum(layers, ({ parameters }) => parameters);
  const trainable = sum(layers, ({ trainableParameters }) => trainableParameters);
  return { name: network.name, layers, total, trainable, nonTrainable: total - trainable };
}
