/** @file Fits the projections of the texture views to the photographs of the people trained on: no labels, no steps. */
import { EMBED } from "../artifact/signatures.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import type { Identity, ImageRef } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import { textureSeen } from "../model/backbone.ts";
import { imageInput } from "../model/siamese.ts";
import { TEXTURE_SIZE, textureName } from "../model/texture.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { lower } from "../onnx/lower/lower.ts";
import { Session } from "../onnx/runtime/session.ts";
import type { SettledConfig } from "./config.ts";
import { networkImageOf } from "./people.ts";
import { type PrincipalAxes, principalAxes } from "./principal-axes.ts";

/** Photographs that the axes are found from, at most: a few thousand tell them as well as more. */
const MOST_IMAGES = 8000;
const BATCH = 16;
function chosenImages(people: readonly Identity[], { mostPhotos, seed }: SettledConfig): ImageRef[] {
  const images = people.flatMap((person) => person.images.slice(0, mostPhotos));
  if (images.length <= MOST_IMAGES) return images;
  return new Random(seed).fork("texture images").shuffle(images).slice(0, MOST_IMAGES);
}

/**
 * What the wavelets say of the middle of each image that can be read: `[images, size]`.
 * @param crop share of each side.
 */
async function describe(
  config: SettledConfig,
  loader: Loader,
  images: readonly ImageRef[],
  crop: number,
): Promise<{ rows: Float32Array; size: number }> {
  const image = { ...networkImageOf(config), crop };
  const input = imageInput(EMBED.image, BATCH, image);
  const told = textureSeen(new NetworkBuilder("inference"), input, image);
  const size = Number(told.shape[1]);
  await using session = await Session.open(lower({ outputs: { told } }));
  const shape = [BATCH, image.height, image.width, 3];
  const rows = new Float32Array(images.length * size);
  let read = 0;
  for await (const { images: pixels, count } of loader.imageBatches(images, { batchSize: BATCH })) {
    const full = new Float32Array(BATCH * image.height * image.width * 3);
    full.set(pixels);
    const results = await session.run(new Map([[EMBED.image, float32(shape, full)]]));
    rows.set(floats(results.get("told")!).subarray(0, count * size), read * size);
    read += count;
  }
  return { rows: rows.subarray(0, read * size), size };
}

/** The projection onto the axes as weights. */
function projection({ mean, axes }: PrincipalAxes): [kernel: Float32Array, bias: Float32Array] {
  const kernel = new Float32Array(mean.length * TEXTURE_SIZE);
  const bias = new Float32Array(TEXTURE_SIZE);
  axes.forEach((axis, to) => {
    let middle = 0;
    axis.forEach((value, from) => {
      kernel[from * TEXTURE_SIZE + to] = value;
      middle += value * mean[from]!;
    });
    bias[to] = -middle;
  });
  return [kernel, bias];
}

/**
 * The weights of all texture views.
 * @throws FaceError `DATASET_INVALID` when fewer than two photographs can be read; as reading photographs does.
 */
export async function fitTexture(
  config: SettledConfig,
  loader: Loader,
  people: readonly Identity[],
): Promise<TensorMap> {
  const images = chosenImages(people, config);
  const weights = new Map<string, Tensor>();
  for (const [view, crop] of config.texture.entries()) {
    const { rows, size } = await describe(config, loader, images, crop);
    const random = new Random(config.seed).fork("texture axes");
    const [kernel, bias] = projection(await principalAxes(rows, { size, length: TEXTURE_SIZE, random }));
    weights.set(`${textureName(view)}/projection/kernel`, float32([size, TEXTURE_SIZE], kernel));
    weights.set(`${textureName(view)}/projection/bias`, float32([TEXTURE_SIZE], bias));
  }
  return weights;
}
