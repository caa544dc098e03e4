/** @file Describes a network for summaries and drawings: its layers with shapes, parameters and connections. */
import { z } from "zod";
import { EMBED, PAIR } from "../artifact/signatures.ts";
import { checkOptions, given } from "../base/check-options.ts";
import { input } from "../graph/build.ts";
import type { SymbolicShape } from "../graph/ops.ts";
import { countValues, type Layer, NetworkBuilder, type Weight } from "../nn/network-builder.ts";
import { AROUND, backbone, gaborName, memberName } from "./backbone.ts";
import { HEADS, type ImageSize, isPlain, type ModelConfig } from "./model-config.ts";
import { head, imageInput } from "./siamese.ts";

/** One layer; a layer may be a network itself. */
export interface LayerDescription {
  readonly name: string;
  /** Keras' name of its class. */
  readonly kind: string;
  /** Shape of its output; null for the batch. */
  readonly outputShape: readonly (number | null)[];
  /** Number of its parameters, running statistics included. */
  readonly parameters: number;
  readonly trainableParameters: number;
  /** Names of the layers before it; a shared layer occurs once for each use. */
  readonly inputs: readonly string[];
  /** The layers it consists of. */
  readonly inner?: readonly LayerDescription[];
}

/** A Siamese network. */
export interface ModelDescription {
  /** What `--model` calls it. */
  readonly name: string;
  readonly layers: readonly LayerDescription[];
  /** Numbers of parameters. */
  readonly total: number;
  readonly trainable: number;
  readonly nonTrainable: number;
  /** The file that holds it, where it is an exported model: its weights may be smaller than float32. */
  readonly file?: { readonly name: string; readonly bytes: number };
}

const EMBEDDING = "embedding";
const IMAGE = EMBED.image;

const sidesOf = (shape: SymbolicShape) => shape.map((side) => (typeof side === "number" ? side : null));
const trainableOf = (weights: readonly Weight[]) => weights.filter(({ trainable }) => trainable);

/** An image input, which Keras counts as a layer. */
function inputLayer(name: string, { height, width }: ImageSize): LayerDescription {
  const outputShape = [null, height, width, 3];
  return { name, kind: "InputLayer", outputShape, parameters: 0, trainableParameters: 0, inputs: [] };
}

/** @param source the layer that feeds the network's input. */
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

/** The forward pass of one backbone: crop, mirror image, the network as one layer, normalisation. */
function describePass(
  name: string,
  layers: readonly LayerDescription[],
  image: ImageSize,
): LayerDescription[] {
  const found = (wanted: string) => layers.filter((layer) => layer.name === wanted);
  const [crop, mirrored, direction] = [AROUND.crop, AROUND.mirrored, AROUND.direction].map(found);
  const around: ReadonlySet<string> = new Set(Object.values(AROUND));
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

/** The backbone at inference: the members of the ensemble, their concatenation, the projection. */
function describeStages(layers: readonly LayerDescription[], config: ModelConfig): LayerDescription[] {
  const { network: name, input: image, crops = [], gaborCrops = [] } = config;
  if (crops.length === 0) {
    const after = layers.findIndex((layer) => layer.name === AROUND.direction) + 1;
    return [...describePass(name, layers.slice(0, after), image), ...layers.slice(after)];
  }
  const members = crops.map((_, i) => {
    const own = layersWithin(memberName(i), layers);
    return functional(memberName(i), [inputLayer(IMAGE, image), ...describePass(name, own, image)], [IMAGE]);
  });
  const gabor = gaborCrops.map((_, i) => {
    const name = gaborName(i);
    return functional(name, [inputLayer(IMAGE, image), ...layersWithin(name, layers)], [IMAGE]);
  });
  const joined = layers.filter((layer) => !layer.name.includes("/"));
  return [...members, ...gabor, ...reconnected(joined, (input) => input.split("/")[0]!)];
}

const side = z.number().positive().max(1);
const modelOptions = z.strictObject({
  network: given.text,
  // An image's settings, which have three channels, will do as well.
  input: z.strictObject({ height: given.count, width: given.count, channels: z.literal(3).optional() }),
  crop: side.optional(),
  crops: z.array(side).optional(),
  gaborCrops: z.array(side).optional(),
  mirror: given.flag.optional(),
  projectionDim: z.number().int().nonnegative().optional(),
  head: z.enum(HEADS).optional(),
} satisfies Record<keyof ModelConfig, z.ZodType>);

/** Describes the Siamese network as inference runs it; the backbone that both images share is one layer, used twice. */
export function describe(config: ModelConfig): ModelDescription {
  checkOptions("describe", modelOptions, config);
  const image = config.input;
  const net = new NetworkBuilder("inference");
  const embedding = backbone(net, imageInput(IMAGE, "batch", image), config);
  const top = new NetworkBuilder("inference");
  head(top, input("anchor", embedding.shape), input("verification", embedding.shape), config.head);
  const written = describeLayers(net, IMAGE);
  const stages = isPlain(config) ? written : describeStages(written, config);
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
  return { name: config.network, layers, total, trainable, nonTrainable: total - trainable };
}
