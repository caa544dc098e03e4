/** @file An exported face verifier with its first weights, as a version folder: small, genuine, and of no judgement. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Random } from "../../src/base/random.ts";
import { signaturesOf } from "../../src/jobs/export.ts";
import { networkNamed } from "../../src/model/networks.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { writeSavedModel } from "../../src/savedmodel/write/write.ts";

/** Writes a model of a network's architecture; `description` is what stands in `assets.extra/faceid.json`. */
export async function writeFaceModel(
  folder: string,
  {
    network = "compact",
    side = 96,
    seed = 1,
    description,
  }: {
    network?: string;
    side?: number;
    seed?: number;
    description?: unknown;
  } = {},
): Promise<void> {
  const image = { height: side, width: side };
  const { net } = siamese(networkNamed(network), image, { mode: "inference", batch: 1 });
  const files: Record<string, string> =
    description === undefined ? {} : { "assets.extra/faceid.json": JSON.stringify(description) };
  await mkdir(dirname(folder), { recursive: true });
  await writeSavedModel(folder, {
    signatures: signaturesOf(network, { imageShape: [side, side] }),
    parameters: initialWeights(net.weights, new Random(seed)),
    files,
  });
}
