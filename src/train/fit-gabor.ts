/** @file Fits the PCA projections of the Gabor features to the images of the people trained on, without labels. */
import { EMBED } from "../artifact/signatures.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import type { Identity, ImageRef } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import { croppedGabor, gaborName } from "../model/backbone.ts";
import { GABOR_SIZE } from "../model/gabor.ts";
import { imageInput } from "../model/siamese.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { projectionOnto } from "../nn/plda.ts";
import { lower } from "../onnx/lower/lower.ts";
import { Session } from "../onnx/runtime/session.ts";
import { modelConfigOf, type SettledConfig } from "./config.ts";
import { principalAxes } from "./principal-axes.ts";

/** Most images for the axes; more than a few thousand change nothing. */
const MOST_IMAGES = 8000;
const BATCH = 16;

function chosenImages(people: readonly Identity[], { maxImagesPerId, seed }: SettledConfig): ImageRef[] {
  const images = people.flatMap((person) => person.images.slice(0, maxImagesPerId));
  if (images.length <= MOST_IMAGES) return images;
  return new Random(seed).fork("texture images").shuffle(images).slice(0, MOST_IMAGES);
}

/** Gabor features `[images, size]` of a crop of each readable image. */
async function featuresOf(
  config: SettledConfig,
  loader: Loader,
  images: readonly ImageRef[],
  crop: number,
): Promise<{ rows: Float32Array; size: number }> {
  const model = { ...modelConfigOf(config), crop };
  const { height, width } = model.input;
  const input = imageInput(EMBED.image, BATCH, model.input);
  const features = croppedGabor(new NetworkBuilder("inference"), input, model);
  const size = Number(features.shape[1]);
  await using session = await Session.open(lower({ outputs: { features } }));
  const shape = [BATCH, height, width, 3];
  const rows = new Float32Array(images.length * size);
  let read = 0;
  for await (const { images: pixels, count } of loader.imageBatches(images, { batchSize: BATCH })) {
    const full = new Float32Array(BATCH * height * width * 3);
    full.set(pixels);
    const results = await session.run(new Map([[EMBED.image, float32(shape, full)]]));
    rows.set(floats(results.get("features")!).subarray(0, count * size), read * size);
    read += count;
  }
  return { rows: rows.subarray(0, read * size), size };
}

/**
 * The weights of the Gabor features of all crops.
 * @throws FaceError `DATASET_INVALID` when fewer than two images can be read; as reading images does.
 */
export async function fitGabor(
  config: SettledConfig,
  loader: Loader,
  people: readonly Identity[],
): Promise<TensorMap> {
  const images = chosenImages(people, config);
  const weights = new Map<string, Tensor>();
  for (const [index, crop] of config.gaborCrops.entries()) {
    const { rows, size } = await featuresOf(config, loader, images, crop);
    const random = new Random(config.seed).fork("texture axes");
    const { axes, mean } = await principalAxes(rows, { size, length: GABOR_SIZE, random });
    const { kernel, bias } = projectionOnto(axes, mean, GABOR_SIZE);
    weights.set(`${gaborName(index)}/projection/kernel`, float32([size, GABOR_SIZE], kernel));
    weights.set(`${gaborName(index)}/projection/bias`, float32([GABOR_SIZE], bias));
  }
  return weights;
}
