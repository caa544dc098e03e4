/** @file A model's settings in the form of Triton's ModelConfig. */
import type { DType } from "../../base/tensor.ts";
import type { ModelConfig as ServedModel } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Signature, SignatureTensor } from "../../savedmodel/signature.ts";
import type { BatchLimits } from "../engine/servable.ts";
import type { Catalog, ModelChoice } from "../repository/catalog.ts";
import { modelsOf, platformOf, shownSignature } from "./models.ts";
import { DATATYPES } from "./tensors.ts";

/** A tensor of the settings. */
export interface ConfigTensor {
  readonly name: string;
  readonly data_type: string;
  /** Sides, -1 where any is taken; without the rows where `max_batch_size` is above 0. */
  readonly dims: readonly number[];
  readonly optional?: true;
}

/** The settings with the names of the JSON form, which are those of the message. */
export interface ModelSettings {
  readonly name: string;
  readonly platform: string;
  readonly version_policy:
    | { readonly latest: { readonly num_versions: number } }
    | { readonly all: Readonly<Record<string, never>> }
    | { readonly specific: { readonly versions: readonly number[] } };
  readonly max_batch_size: number;
  readonly input: readonly ConfigTensor[];
  readonly output: readonly ConfigTensor[];
  readonly dynamic_batching?: {
    readonly preferred_batch_size: readonly number[];
    readonly max_queue_delay_microseconds: number;
  };
}

const MICROS_PER_MS = 1000;

/** Triton's name of an element type. */
const configType = (dtype: DType) => `TYPE_${dtype === "string" ? "STRING" : DATATYPES[dtype]}`;

/** @throws StatusError `NOT_FOUND`. */
export function modelSettings(catalog: Catalog, choice: ModelChoice): ModelSettings {
  using lease = catalog.acquire(choice);
  const { servable } = lease;
  const shown = shownSignature(servable.signatures);
  const batching = shown && batchingOf(shown[1], servable.batchingOf?.(shown[0]));
  const config = modelsOf(catalog.configuration()).find(({ name }) => name === servable.name);
  const tensors = (side: ReadonlyMap<string, SignatureTensor> = new Map()) =>
    [...side].map(([name, { dtype, shape = [-1] }]) => ({
      name,
      data_type: configType(dtype),
      dims: batching === undefined ? shape : shape.slice(1),
    }));
  const optional = shown?.[1].defaults;
  return {
    name: servable.name,
    platform: platformOf(servable.signatures),
    version_policy: policyOf(config),
    max_batch_size: batching?.maxBatchSize ?? 0,
    input: tensors(shown?.[1].inputs).map((input) =>
      optional?.has(input.name) === true ? { ...input, optional: true } : input,
    ),
    output: tensors(shown?.[1].outputs),
    ...(batching !== undefined && {
      dynamic_batching: {
        preferred_batch_size: batching.allowedBatchSizes,
        max_queue_delay_microseconds: Math.round(batching.timeoutMs * MICROS_PER_MS),
      },
    }),
  };
}

/** Triton's batches add rows in front of sides of their own, so every tensor has both. */
function batchingOf(
  { inputs, outputs }: Signature,
  limits: BatchLimits | undefined,
): BatchLimits | undefined {
  const hasRows = [...inputs.values(), ...outputs.values()].every(
    ({ shape }) => shape !== undefined && shape.length > 1 && shape[0] === -1,
  );
  return hasRows ? limits : undefined;
}

function policyOf(config: ServedModel | undefined): ModelSettings["version_policy"] {
  const policy = config?.modelVersionPolicy?.policyChoice;
  if (policy?.case === "all") return { all: {} };
  if (policy?.case === "specific") return { specific: { versions: policy.value.versions.map(Number) } };
  return { latest: { num_versions: policy?.case === "latest" ? policy.value.numVersions || 1 : 1 } };
}
