/** @file MultiInference: several classify and regress signatures of one model on the same examples. */
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import type { Classifications } from "./classifications.ts";
import { classification } from "./classify.ts";
import type { RunOptions, Servable } from "./engine/servable.ts";
import { type Examples, type ExampleVerb, exampleInputName, runExamples, sumOf } from "./examples.ts";
import { multiInferenceResponse } from "./grpc/response-messages.ts";
import { multiInferenceRequest } from "./observe/request-log.ts";
import { type Regressions, regression } from "./regress.ts";
import type { Answered, Lease, ModelChoice, Models } from "./repository/catalog.ts";
import { invalidArgument, StatusError } from "./status.ts";

type InferenceVerb = ExampleVerb<Classifications | Regressions>;

const VERBS: ReadonlyMap<string, InferenceVerb> = new Map<string, InferenceVerb>([
  ["tensorflow/serving/classify", classification],
  ["tensorflow/serving/regress", regression],
]);

/** One of the signatures to run. */
export interface InferenceTask {
  readonly model: ModelChoice;
  readonly signatureName: string;
  readonly methodName: string;
}

/** The answer of one signature. */
export type InferenceAnswer = Answered & (Classifications | Regressions);

/**
 * Runs the tasks side by side; all are checked before the examples are read.
 * @returns the answers in the order of the tasks.
 * @throws StatusError with TensorFlow Serving's code and message.
 */
export async function multiInference(
  models: Models,
  tasks: readonly InferenceTask[],
  examples: Examples,
  options: RunOptions = {},
): Promise<InferenceAnswer[]> {
  const [first] = tasks;
  if (first === undefined || first.model.name === "") {
    throw invalidArgument("ModelSpec has no name specified.");
  }
  using lease = models.acquire(first.model);
  const { servable } = lease;
  const chosen = chooseTasks(servable, tasks);
  const record = await recordOf(lease, tasks, examples);
  const answers = await Promise.all(
    chosen.map(({ verb, signatureName }) => runExamples(verb, servable, signatureName, examples, options)),
  );
  record?.(() => multiInferenceResponse(answers));
  return answers;
}

async function recordOf({ recorder }: Lease, tasks: readonly InferenceTask[], examples: Examples) {
  if (recorder === undefined) return undefined;
  const read = typeof examples === "function" ? await examples() : examples;
  const asked = tasks.map(({ model, ...task }) => ({ name: model.name, ...task }));
  return recorder.begin("multiInference", sumOf(read), () => multiInferenceRequest(asked, read));
}

interface ChosenTask {
  readonly verb: InferenceVerb;
  readonly signatureName: string;
}

function chooseTasks(servable: Servable, tasks: readonly InferenceTask[]): ChosenTask[] {
  const seen = new Set<string>();
  const inputs = new Set<string>();
  return tasks.map((task) => {
    if (task.model.name === "") throw invalidArgument("Found ModelSpec with an empty model name.");
    if (task.model.name !== servable.name) {
      throw invalidArgument("All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    }
    const signatureName = task.signatureName || DEFAULT_SIGNATURE;
    if (seen.has(signatureName)) throw invalidArgument(`Duplicate evaluation of signature: ${signatureName}`);
    seen.add(signatureName);
    const signature = servable.signatures.get(signatureName);
    if (signature === undefined) {
      throw invalidArgument(`Requested signature not found in model graph: ${signatureName}`);
    }
    const verb = VERBS.get(task.methodName);
    if (verb === undefined) {
      throw new StatusError("UNIMPLEMENTED", `Unsupported signature method_name: ${task.methodName}`);
    }
    verb.outputsOf(signature);
    inputs.add(exampleInputName(signature));
    if (inputs.size > 1) throw invalidArgument("Input tensor must be the same for all Signatures.");
    return { verb, signatureName };
  });
}
