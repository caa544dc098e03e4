/** @file The calls of PredictionService as functions from request message to response message. */
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { ExampleSchema } from "../../proto/tensorflow/example_pb.ts";
import { type ModelSpec, ModelSpecSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import {
  type ClassificationRequest,
  ClassificationResponseSchema,
  type GetModelMetadataRequest,
  GetModelMetadataResponseSchema,
  type Input,
  type MultiInferenceRequest,
  MultiInferenceResponseSchema,
  type PredictRequest,
  PredictResponseSchema,
  type RegressionRequest,
  RegressionResponseSchema,
  SignatureDefMapSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { type TensorLimits, tensorFromProto, tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { type Classifications, classify } from "../classify.ts";
import type { RunOptions } from "../engine/servable.ts";
import { withContext } from "../json/examples.ts";
import type { ServerMetrics } from "../metrics.ts";
import { multiInference } from "../multi-inference.ts";
import { predict } from "../predict.ts";
import { type Regressions, regress } from "../regress.ts";
import type { Answered, ModelChoice, Models, VersionChoice } from "../repository/catalog.ts";
import { RequestMemory } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** What the calls work with. */
export interface PredictionContext {
  readonly models: Models;
  /** Counts the examples of requests; absent for requests that are not counted. */
  readonly metrics?: ServerMetrics;
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

/** Model, version and signature that answered. */
function answeredSpec({ name, version, signatureName }: Answered): ModelSpec {
  return create(ModelSpecSchema, {
    name,
    signatureName,
    versionChoice: { case: "version", value: { value: version } },
  });
}

/** @param request loses its tensors. */
export async function predictRpc(context: PredictionContext, request: PredictRequest, options: RunOptions) {
  using memory = new RequestMemory();
  const call = {
    model: modelChoice(request.modelSpec),
    signatureName: request.modelSpec!.signatureName,
    inputs: () => tensorsOf(request, context.limits, memory),
    outputFilter: request.outputFilter,
  };
  const answer = await predict(context.models, call, { ...options, memory });
  const writing = { asContent: context.asTensorContent };
  return create(PredictResponseSchema, {
    modelSpec: answeredSpec(answer),
    outputs: Object.fromEntries(
      [...answer.outputs].map(([name, value]) => [name, tensorToProto(value, writing)]),
    ),
  });
}

/** Copies the tensors out of the message and removes them there, so that they are in memory once during the call. */
function tensorsOf(request: PredictRequest, limits: TensorLimits, memory: RequestMemory): TensorMap {
  const tensors = new Map<string, Tensor>();
  for (const [alias, proto] of Object.entries(request.inputs)) {
    try {
      tensors.set(alias, tensorFromProto(proto, limits, memory));
    } catch (error) {
      throw new StatusError("INVALID_ARGUMENT", `tensor parsing error: ${alias}`, { cause: error });
    }
  }
  request.inputs = {};
  return tensors;
}

/** The examples of a request, serialized, each with the shared context in front. */
function examplesOf(input: Input | undefined): Uint8Array[] {
  const { kind } = input ?? {};
  const examples = (kind?.value?.examples ?? []).map((example) => toBinary(ExampleSchema, example));
  const shared = kind?.case === "exampleListWithContext" ? kind.value.context : undefined;
  const context = shared && toBinary(ExampleSchema, shared);
  return examples.map((example) => withContext(context, example));
}

function exampleCall(request: ClassificationRequest | RegressionRequest) {
  return {
    model: modelChoice(request.modelSpec),
    signatureName: request.modelSpec!.signatureName,
    examples: () => examplesOf(request.input),
  };
}

const classificationResult = ({ classifications }: Classifications) => ({
  classifications: classifications.map((classes) => ({ classes: classes.map((scored) => ({ ...scored })) })),
});

const regressionResult = ({ values }: Regressions) => ({
  regressions: Array.from(values, (value) => ({ value })),
});

export async function classifyRpc(
  { models }: PredictionContext,
  request: ClassificationRequest,
  options: RunOptions,
) {
  const answer = await classify(models, exampleCall(request), options);
  const result = classificationResult(answer);
  return create(ClassificationResponseSchema, { modelSpec: answeredSpec(answer), result });
}

export async function regressRpc(
  { models }: PredictionContext,
  request: RegressionRequest,
  options: RunOptions,
) {
  const answer = await regress(models, exampleCall(request), options);
  return create(RegressionResponseSchema, {
    modelSpec: answeredSpec(answer),
    result: regressionResult(answer),
  });
}

export async function multiInferenceRpc(
  { models, metrics }: PredictionContext,
  request: MultiInferenceRequest,
  options: RunOptions,
) {
  const tasks = request.tasks.map(({ modelSpec = create(ModelSpecSchema), methodName }) => ({
    model: { name: modelSpec.name, version: versionChoice(modelSpec) },
    signatureName: modelSpec.signatureName,
    methodName,
  }));
  let examples: readonly Uint8Array[] = [];
  const readOnce = () => {
    if (examples.length === 0) examples = examplesOf(request.input);
    return examples;
  };
  const answers = await multiInference(models, tasks, readOnce, options);
  metrics?.examples(tasks[0]!.model.name, examples.length);
  return create(MultiInferenceResponseSchema, {
    results: answers.map((answer) => ({
      modelSpec: answeredSpec(answer),
      result:
        answer.method === "classify"
          ? { case: "classificationResult" as const, value: classificationResult(answer) }
          : { case: "regressionResult" as const, value: regressionResult(answer) },
    })),
  });
}

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
