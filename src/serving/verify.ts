/** @file Verify, our own verb: two image files in, similarity and decision out. */
import { decisionFor } from "../artifact/calibration.ts";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { floats, type TensorMap } from "../base/tensor.ts";
import { imageBatch, imageSettingsOf } from "./engine/image-input.ts";
import { type RunOptions, runUntil, type Servable } from "./engine/servable.ts";
import type { ModelChoice, Models } from "./repository/catalog.ts";
import { StatusError } from "./status.ts";

/** The images to compare. */
export interface VerifyCall {
  /** Two image files. */
  readonly images: readonly [Uint8Array, Uint8Array];
  /** The accepted false accept rate, between 0 and 1; `undefined` for the model's default. */
  readonly far: number | undefined;
}

type VerifyOptions = Required<RunOptions>;

/**
 * Compares two images and decides by the model's calibration record.
 * @returns the similarity and, where the model is calibrated, the decision, its threshold and false accept rate.
 * @throws StatusError for a model that does not compare images or is not calibrated for `far`, FaceError
 *   `IMAGE_UNREADABLE`.
 */
export async function verify(
  models: Models,
  model: ModelChoice,
  { images, far }: VerifyCall,
  options: VerifyOptions,
) {
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
  return {
    model: servable.name,
    version: String(servable.version),
    similarity,
    ...(decision && { same: similarity >= decision.threshold, ...decision }),
  };
}

async function compare(
  servable: Servable,
  images: readonly [Uint8Array, Uint8Array],
  { signal, memory }: VerifyOptions,
): Promise<number> {
  const signature = servable.signatures.get(DEFAULT_SIGNATURE);
  const ports = [...(signature?.inputs ?? [])];
  const sizes = ports.map(([, input]) => imageSettingsOf(input));
  const [output] = signature?.outputs.keys() ?? [];
  if (ports.length !== 2 || sizes.includes(undefined) || output === undefined) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Model ${servable.name} does not compare two images: its ${DEFAULT_SIGNATURE} signature takes other inputs`,
    );
  }
  const inputs: TensorMap = new Map(
    await Promise.all(
      ports.map(
        async ([name], i) => [name, await imageBatch([images[i as 0 | 1]], sizes[i]!, memory)] as const,
      ),
    ),
  );
  const outputs = await runUntil(servable, DEFAULT_SIGNATURE, inputs, [output], { signal, memory });
  return floats(outputs.get(output)!)[0]!;
}
