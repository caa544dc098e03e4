/** @file An ONNX file as a servable: one signature with the graph's inputs and outputs. */

import { create } from "@bufbuild/protobuf";
import type { ExportedModel } from "../../artifact/description.ts";
import { DEFAULT_SIGNATURE } from "../../artifact/signatures.ts";
import { FaceError } from "../../base/errors.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { type OnnxModel, type OnnxPort, readOnnxFile } from "../../onnx/runtime/model-file.ts";
import { SessionPool } from "../../onnx/runtime/session-pool.ts";
import { type SignatureDef, SignatureDefSchema } from "../../proto/tensorflow/graph_pb.ts";
import { dataTypeOf } from "../../savedmodel/format/tensor-proto.ts";
import { PREDICT_METHOD, type Signature } from "../../savedmodel/signature.ts";
import { shapeProto } from "../../savedmodel/write/graph-writer.ts";
import { checkOutputs, joinOutputs, sliceTensors } from "../batching/tensors.ts";
import { allOf } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import type { EngineSessions } from "./savedmodel-servable.ts";
import type { RunOptions, Servable, ServableId } from "./servable.ts";
import { fits, misfitText, NICENESS, runSession, shapesOf } from "./session-run.ts";

const portMap = (ports: readonly OnnxPort[]) =>
  new Map(ports.map(({ name, dtype, shape }) => [name, { tensorName: name, dtype, shape }]));

/** The inputs and outputs of an ONNX model as a signature. */
export function onnxSignature({ inputs, outputs }: OnnxModel): Signature {
  return {
    inputs: portMap(inputs),
    outputs: portMap(outputs),
    methodName: PREDICT_METHOD,
    defaults: new Map(),
  };
}

function tensorInfos(ports: readonly OnnxPort[]) {
  return Object.fromEntries(
    ports.map(({ name, dtype, shape }) => [
      name,
      {
        encoding: { case: "name" as const, value: name },
        dtype: dataTypeOf(dtype),
        tensorShape: shape === undefined ? { unknownRank: true } : shapeProto(shape),
      },
    ]),
  );
}

function refuseUnservable({ inputs, outputs }: OnnxModel, path: string): void {
  const odd = [...inputs, ...outputs].find(({ dtype }) => dtype === "string" || dtype === "bfloat16");
  if (odd !== undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${path}: ${odd.name} is of type ${odd.dtype}`, {
      hint: "inputs and outputs must be numbers of up to 64 bits; float16 is supported, bfloat16 and strings are not",
    });
  }
}

/** The batch size, where all inputs and outputs fix the same one. */
function fixedRows({ inputs, outputs }: OnnxModel): number | undefined {
  const [rows, ...others] = new Set([...inputs, ...outputs].map(({ shape }) => shape?.[0] ?? -1));
  return others.length === 0 && rows !== undefined && rows > 0 ? rows : undefined;
}

/** An ONNX model version in memory. */
class OnnxServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly description: ExportedModel | undefined;
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly signatureDefs: { readonly [name: string]: SignatureDef };
  readonly #signature: Signature;
  readonly #sessions: SessionPool;
  readonly #rows: number | undefined;

  constructor(
    { name, version }: ServableId,
    model: OnnxModel,
    sessions: SessionPool,
    description: ExportedModel | undefined,
  ) {
    this.name = name;
    this.version = version;
    this.description = description;
    this.#signature = onnxSignature(model);
    this.signatures = new Map([[DEFAULT_SIGNATURE, this.#signature]]);
    const def = create(SignatureDefSchema, {
      inputs: tensorInfos(model.inputs),
      outputs: tensorInfos(model.outputs),
      methodName: PREDICT_METHOD,
    });
    this.signatureDefs = { [DEFAULT_SIGNATURE]: def };
    this.#sessions = sessions;
    this.#rows = fixedRows(model);
  }

  async run(
    _signatureName: string,
    inputs: TensorMap,
    outputNames: readonly string[],
    { signal }: RunOptions = {},
  ): Promise<TensorMap> {
    const parts = this.#parts(inputs);
    const answers = await allOf(parts.map((part) => this.#runPart(part, outputNames)));
    signal?.throwIfAborted();
    if (answers.length > 1) for (const answer of answers) checkOutputs(answer, this.#rows!);
    return joinOutputs(answers);
  }

  /** Splits a request into batches of the size that the file fixes. */
  #parts(inputs: TensorMap): TensorMap[] {
    const step = this.#rows;
    const rows = [...inputs.values()][0]?.shape[0] ?? 0;
    const isWhole = [...inputs.values()].every(({ shape }) => shape[0] === rows);
    if (step === undefined || !isWhole || rows === 0 || rows % step !== 0) return [inputs];
    return Array.from({ length: rows / step }, (_, i) => sliceTensors(inputs, i * step, (i + 1) * step));
  }

  async #runPart(inputs: TensorMap, outputNames: readonly string[]): Promise<TensorMap> {
    const shapes = shapesOf(inputs);
    if (!fits(this.#signature, shapes)) throw invalidArgument(misfitText(this.#signature, shapes));
    return await runSession(this.#sessions, inputs, outputNames);
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}

/**
 * Loads an ONNX file into `sessions` threads.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function loadOnnx(
  path: string,
  id: ServableId,
  { sessions, aloneThreads = 1 }: EngineSessions,
  description: ExportedModel | undefined,
): Promise<Servable> {
  const { bytes, model } = await readOnnxFile(path);
  refuseUnservable(model, path);
  const inputNames = model.inputs.map(({ name }) => name);
  const pool = await SessionPool.open(bytes, sessions, { inputNames, niceness: NICENESS, aloneThreads });
  return new OnnxServable(id, model, pool, description);
}
