/** @file An exported face verifier with its first weights, as a version folder: small, genuine, and of no judgement. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { descriptionText, type ExportedModel, MODEL_FORMAT } from "../../src/artifact/description.ts";
import { DESCRIPTION_FILE } from "../../src/artifact/files.ts";
import { Random } from "../../src/base/random.ts";
import { signaturesOf } from "../../src/jobs/export.ts";
import { embeddingSizeOf } from "../../src/model/model-config.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { writeSavedModel } from "../../src/savedmodel/write/write.ts";
import { trainConfigSchema } from "../../src/train/config.ts";

/** Writes a model of a network's architecture; `description` replaces fields of its `assets.extra/faceid.json`. */
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
    description?: Partial<ExportedModel>;
  } = {},
): Promise<void> {
  const image = { height: side, width: side };
  const model = { network, input: image };
  const { net } = siamese(model, { mode: "inference", batch: 1 });
  const described: ExportedModel = {
    format: MODEL_FORMAT,
    faceid: "0.1.0",
    name: "faceid",
    version: 1,
    network,
    embeddingSize: embeddingSizeOf(model),
    image: { ...image, channels: 3, range: [0, 1] },
    framing: null,
    training: { epochs: 0, steps: 0, config: trainConfigSchema.parse({}), history: [] },
    ...description,
  };
  const files: Record<string, string> =
    description === undefined ? {} : { [DESCRIPTION_FILE]: descriptionText(described) };
  await mkdir(dirname(folder), { recursive: true });
  await writeSavedModel(folder, {
    signatures: signaturesOf(model),
    parameters: initialWeights(net.weights, new Random(seed)),
    files,
  });
}
