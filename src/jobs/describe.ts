/** @file The layers of a trained model, by its path; nothing is run. */
import { FaceError } from "../base/errors.ts";
import { describe, type ModelDescription } from "../model/description.ts";
import { networkNamed } from "../model/networks.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { networkImageOf } from "../train/people.ts";
import { locateModel } from "../verify/open-model.ts";
import { readDescription } from "../verify/saved-model-verifier.ts";

/**
 * Describes a model as it is used, its backbones, metric and head.
 * @param path as for `openModel`.
 * @throws FaceError `MODEL_NOT_FOUND`, `CHECKPOINT_INVALID`, or `MODEL_UNSUPPORTED` for a model that others made.
 */
export async function describeModel(path: string): Promise<ModelDescription> {
  const place = await locateModel(path);
  if (place.kind === "checkpoint") {
    const { config } = await readCheckpoint(place.path);
    return describe(networkNamed(config.model), networkImageOf(config));
  }
  const about = await readDescription(place.path);
  if (about === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${place.path} does not say which network of faceid it is`, {
      hint: "faceid inspect shows the signatures and operations of any model",
    });
  }
  return describe(networkNamed(about.network), networkImageOf(about.training.config));
}
