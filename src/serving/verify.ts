/** @file The friendly request: two image files in, similarity and decision out. */

import { decisionFor } from "../artifact/calibration.ts";
import { floats, type TensorMap } from "../base/tensor.ts";
import { DEFAULT_SIGNATURE } from "../savedmodel/signature.ts";
import { imageBatch, imageSettingsOf } from "./engine/image-input.ts";
import type { RunOptions, Servable } from "./engine/servable.ts";
import { type ModelChoice, type Models, runUntil } from "./predict.ts";
import { RequestMemory } from "./request-memory.ts";
import { readForm } from "./rest/multipart.ts";
import { invalidArgument, StatusError } from "./status.ts";

/**
 * Reads a form with two image files and an optional field `far`, compares the images, and decides by the model's
 * calibration record.
 * @returns JSON with similarity, and, where the model is calibrated, decision, threshold and its false accept rate.
 * @throws StatusError for a form, an image or a model that does not serve.
 */
export async function verifyUpload(
  models: Models,
  model: ModelChoice,
  contentType: string,
  body: Uint8Array,
  options: RunOptions,
): Promise<string> {
  const { images, far } = readPair(body, contentType);
  using lease = models.acquire(model);
  const { servable } = lease;
  const similarity = await compare(servable, images, options);
  const decision = decisionFor(servable.description?.calibration, far);
  if (decision === undefined && far !== undefined) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Model ${servable.name} is not calibrated for a false accept rate of ${far}; leave far out`,
    );
  }
  const answer = {
    model: servable.name,
    version: String(servable.version),
    similarity,
    ...(decision && { same: similarity >= decision.threshold, ...decision }),
  };
  return `${JSON.stringify(answer, null, 1)}\n`;
}

function readPair(
  body: Uint8Array,
  contentType: string,
): { images: [Uint8Array, Uint8Array]; far: number | undefined } {
  if (!/^multipart\/form-data/i.test(contentType)) {
    throw invalidArgument("verify takes a multipart/form-data body with two image files");
  }
  const parts = readForm(body, contentType);
  const files = parts.filter((part) => part.fileName !== "");
  const [first, second] = files;
  if (first === undefined || second === undefined || files.length > 2) {
    throw invalidArgument(`verify takes two image files, got ${files.length}`);
  }
  const field = parts.find((part) => part.name === "far");
  const far = field === undefined ? undefined : Number(Buffer.from(field.data).toString("utf8"));
  if (far !== undefined && !(far > 0 && far < 1))
    throw invalidArgument("far is a rate between 0 and 1, such as 0.001");
  return { images: [first.data, second.data], far };
}

async function compare(
  servable: Servable,
  images: readonly [Uint8Array, Uint8Array],
  options: RunOptions,
): Promise<number> {
  const signature = servable.signatures.get(DEFAULT_SIGNATURE);
  const ports = [...(signature?.inputs ?? [])];
  const sizes = ports.map(([, input]) => imageSettingsOf(input));
  const [output] = signature?.outputs.keys() ?? [];
  if (ports.length !== 2 || sizes.includes(undefined) || output === undefined) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Model ${servable.name} does not compare two images: its ${DEFAULT_SIGNATURE} signature is of another kind`,
    );
  }
  using memory = new RequestMemory();
  const inputs: TensorMap = new Map(
    await Promise.all(
      ports.map(
        async ([name], i) => [name, await imageBatch([images[i as 0 | 1]], sizes[i]!, memory)] as const,
      ),
    ),
  );
  const outputs = await runUntil(servable, DEFAULT_SIGNATURE, inputs, [output], { ...options, memory });
  return floats(outputs.get(output)!)[0]!;
}
