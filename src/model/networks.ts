/** @file The embedding networks, by name. */
import { didYouMean, FaceError } from "../base/errors.ts";
import { compactNetwork } from "./compact-network.ts";
import type { EmbeddingNetwork } from "./embedding-network.ts";
import { faceidNetwork } from "./faceid-network.ts";
import { mobilefacenet } from "./mobilefacenet.ts";
import { closeup, resnet, slim } from "./resnet.ts";
import { sface } from "./sface.ts";

export const NETWORKS: readonly EmbeddingNetwork[] = [
  faceidNetwork,
  mobilefacenet,
  resnet,
  closeup,
  slim,
  compactNetwork,
  sface,
];

/** A model's folder or file in place of a network's name. */
const PATH = /[\\/]|\.(?:onnx|pb|safetensors)$/;

/** @throws FaceError `CONFIG_INVALID` with the known names. */
export function networkNamed(name: string): EmbeddingNetwork {
  const found = NETWORKS.find((network) => network.name === name);
  if (found !== undefined) return found;
  if (PATH.test(name)) {
    throw new FaceError("CONFIG_INVALID", `${name} is no network that can be trained, but a model's path`, {
      hint: "measure thresholds for it on your people with faceid calibrate; the recipe adapt fits the network sface",
    });
  }
  const names = NETWORKS.map((network) => network.name);
  throw new FaceError("CONFIG_INVALID", `there is no model called ${name}${didYouMean(name, names)}`, {
    hint: `choose one of: ${names.join(", ")}`,
  });
}
