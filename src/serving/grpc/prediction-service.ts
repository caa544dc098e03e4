/** @file The calls of PredictionService as functions from request bytes to answer bytes. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { TensorMap } from "../../base/tensor.ts";
import { type ModelSpec, ModelSpecSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import {
  type GetModelMetadataRequest,
  GetModelMetadataResponseSchema,
  SignatureDefMapSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import type { TensorLimits } from "../../savedmodel/format/tensor-proto.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { classify } from "../classify.ts";
import type { RunOptions } from "../engine/servable.ts";
import type { JsonCodec } from "../json/codec.ts";
import { readingInput } from "../json/codec-calls.ts";
import { withContext } from "../json/examples.ts";
import { AT_ONCE } from "../json/packed-strings.ts";
import { MOST_STRINGS, tooManyStrings } from "../json/values.ts";
import type { ServerMetrics } from "../metrics.ts";
import { multiInference } from "../multi-inference.ts";
import { predict, wrongType } from "../predict.ts";
import { regress } from "../regress.ts";
import type { ModelChoice, Models, VersionChoice } from "../repository/catalog.ts";
import { RequestMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import type { RequestBytes } from "./request-bytes.ts";
import { type ExamplesMessage, readExamplesMessage, readPredictMessage } from "./request-messages.ts";
import { answeredSpec } from "./response-messages.ts";
import { ForeignType, planTensor, STRING_BYTES, type TensorPlan } from "./tensor-message.ts";
import { countFields } from "./wire.ts";

/** What the calls work with. */
export interface PredictionContext {
  readonly models: Models;
  /** Counts the examples of requests; absent for requests that are not counted. */
  readonly metrics?: ServerMetrics;
  readonly codec: JsonCodec;
  /** Answers carry packed bytes instead of lists of values. */
  readonly asTensorContent: boolean;
  readonly limits: TensorLimits;
}

/**
 * The model that a request means.
 * @throws StatusError `INVALID_ARGUMENT` when it names none.
 */
export function modelChoice(spec: ModelSpec | undefined): ModelChoice {
  if (spec === undefined) throw invalidArgument("Missing ModelSpec");
  if (spec.name === "") throw invalidArgument("ModelSpec has no name specified.");
  return { name: spec.name, version: versionChoice(spec) };
}

function versionChoice({ versionChoice }: ModelSpec): VersionChoice {
  switch (versionChoice.case) {
    case "version":
      return { by: "version", version: versionChoice.value.value };
    case "versionLabel":
      return { by: "label", label: versionChoice.value };
    default:
      return { by: "latest" };
  }
}

/** A call: from the bytes of a request, which are let go once they are read, to those of its answer. */
type PredictionRpc = (
  context: PredictionContext,
  sent: RequestBytes,
  options: RunOptions,
) => Promise<Uint8Array>;

export const predictRpc: PredictionRpc = async (context, sent, options) => {
  const { codec, limits, models, asTensorContent } = context;
  const memory = options.memory ?? new RequestMemory();
  const request = readPredictMessage(sent.bytes);
  const call = {
    model: modelChoice(request.modelSpec),
    signatureName: request.modelSpec!.signatureName,
    inputs: async (signature: Signature) => {
      const plans = plansOf(sent.bytes, request.inputs, limits, signature);
      const inputs = codec.readTensors(sent.bytes, plans, { memory, ...options });
      sent.letGo();
      return await inputs;
    },
    outputFilter: request.outputFilter,
  };
  const { outputs, ...answered } = await predict(models, call, { ...options, memory });
  memory.take(2 * bytesOfAll(outputs));
  return await codec.write("predictMessage", [outputs, answered, asTensorContent], options.signal);
};

/** An answer is in memory as tensors and as a message. */
export function bytesOfAll(outputs: TensorMap): number {
  let bytes = 0;
  for (const { data } of outputs.values()) bytes += ArrayBuffer.isView(data) ? data.byteLength : 0;
  return bytes;
}

function plansOf(
  bytes: Uint8Array,
  inputs: ReturnType<typeof readPredictMessage>["inputs"],
  limits: TensorLimits,
  signature: Signature,
): Map<string, TensorPlan> {
  const count = countFields();
  const plans = new Map<string, TensorPlan>();
  for (const [alias, parts] of inputs) {
    const plan = readingInput(alias, () => {
      try {
        return planTensor(bytes, parts, limits, count);
      } catch (error) {
        throw error instanceof ForeignType ? wrongType(signature, alias, error.typeText) : error;
      }
    });
    if (plan.dtype === "string" && plan.size > MOST_STRINGS) throw tooManyStrings();
    plans.set(alias, plan);
  }
  return plans;
}

/** The examples of a request, serialized, each with the shared context in front. */
function examplesOf(sent: RequestBytes, { examples, context }: ExamplesMessage, memory?: RequestMemory) {
  return async () => {
    const { bytes } = sent;
    const shared =
      context.length === 0 ? undefined : Buffer.concat(context.map((part) => bytes.subarray(...part)));
    memory?.take(examples.length * (STRING_BYTES + (shared?.length ?? 0)));
    const read: Uint8Array[] = [];
    for (const [i, part] of examples.entries()) {
      if (i % AT_ONCE === AT_ONCE - 1) await nextTurn();
      read.push(withContext(shared, bytes.subarray(...part)));
    }
    sent.letGo();
    return read;
  };
}

async function exampleCall(sent: RequestBytes, { memory, signal }: RunOptions) {
  const request = await readExamplesMessage(sent.bytes, false, signal);
  return {
    model: modelChoice(request.modelSpec),
    signatureName: request.modelSpec!.signatureName,
    examples: examplesOf(sent, request, memory),
  };
}

export const classifyRpc: PredictionRpc = async ({ models, codec }, sent, options) => {
  const answer = await classify(models, await exampleCall(sent, options), options);
  return await codec.write("classifyMessage", [answer], options.signal);
};

export const regressRpc: PredictionRpc = async ({ models, codec }, sent, options) => {
  const answer = await regress(models, await exampleCall(sent, options), options);
  return await codec.write("regressMessage", [answer], options.signal);
};

export const multiInferenceRpc: PredictionRpc = async ({ models, codec, metrics }, sent, options) => {
  const request = await readExamplesMessage(sent.bytes, true, options.signal);
  const tasks = request.tasks.map(({ modelSpec = create(ModelSpecSchema), methodName }) => ({
    model: { name: modelSpec.name, version: versionChoice(modelSpec) },
    signatureName: modelSpec.signatureName,
    methodName,
  }));
  const read = examplesOf(sent, request, options.memory);
  let examples: ReturnType<typeof read> | undefined;
  const readOnce = () => (examples ??= read());
  const answers = await multiInference(models, tasks, readOnce, options);
  metrics?.examples(tasks[0]!.model.name, (await examples)?.length ?? 0);
  return await codec.write("multiInferenceMessage", [answers], options.signal);
};

const SIGNATURE_FIELD = "signature_def";

export function metadataRpc({ models }: PredictionContext, request: GetModelMetadataRequest) {
  if (request.modelSpec === undefined) throw invalidArgument("Missing ModelSpec");
  if (request.metadataField.length === 0) {
    throw invalidArgument("GetModelMetadataRequest must specify at least one metadata_field");
  }
  const unknown = request.metadataField.find((field) => field !== SIGNATURE_FIELD);
  if (unknown !== undefined) throw invalidArgument(`Metadata field ${unknown} is not supported`);
  using lease = models.acquire(modelChoice(request.modelSpec));
  const { name, version, signatureDefs } = lease.servable;
  const map = create(SignatureDefMapSchema, { signatureDef: { ...signatureDefs } });
  return create(GetModelMetadataResponseSchema, {
    modelSpec: answeredSpec({ name, version, signatureName: "" }),
    metadata: { [SIGNATURE_FIELD]: anyPack(SignatureDefMapSchema, map) },
  });
}
