/** @file An ONNX file as a servable: one signature, made of the graph's inputs and outputs. */
import { create } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { type OnnxModel, type OnnxPort, readOnnxFile } from "../../onnx/runtime/model-file.ts";
import { SessionPool } from "../../onnx/runtime/session-pool.ts";
import { type SignatureDef, SignatureDefSchema } from "../../proto/tensorflow/graph_pb.ts";
import { dataTypeOf } from "../../savedmodel/format/tensor-proto.ts";
import { DEFAULT_SIGNATURE, PREDICT_METHOD, type Signature } from "../../savedmodel/signature.ts";
import { shapeProto } from "../../savedmodel/write/graph-writer.ts";
import { checkOutputs, joinOutputs, sliceOutputs } from "../batching/tensors.ts";
import { allOf } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { ENGINE_NICENESS, misfitText } from "./engine.ts";
import type { RunOptions, Servable, ServableId } from "./servable.ts";

/** The file that makes a version's folder an ONNX model. */
export const ONNX_FILE = "model.onnx";

const portMap = (ports: readonly OnnxPort[]) =>
  new Map(ports.map(({ name, dtype, shape }) => [name, { tensorName: name, dtype, shape }]));

/** The way to call an ONNX model. */
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
      hint: "the engine takes and gives numbers of up to 64 bits, float16 included",
    });
  }
}

/** The rows of one run where the file fixes them, on all sides alike. */
function fixedRows({ inputs, outputs }: OnnxModel): number | undefined {
  const [rows, ...others] = new Set([...inputs, ...outputs].map(({ shape }) => shape?.[0] ?? -1));
  return others.length === 0 && rows !== undefined && rows > 0 ? rows : undefined;
}

const fits = (wanted: readonly number[] | undefined, given: readonly number[] = []) =>
  wanted === undefined ||
  (wanted.length === given.length && wanted.every((side, axis) => side < 0 || side === given[axis]));

/** An ONNX model version in memory. */
class OnnxServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly description: unknown;
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly signatureDefs: { readonly [name: string]: SignatureDef };
  readonly #signature: Signature;
  readonly #lanes: SessionPool;
  readonly #rows: number | undefined;

  constructor({ name, version }: ServableId, model: OnnxModel, lanes: SessionPool, description: unknown) {
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
    this.#lanes = lanes;
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

  /** A file that was written for batches of one size answers larger ones piece by piece. */
  #parts(inputs: TensorMap): TensorMap[] {
    const step = this.#rows;
    const rows = [...inputs.values()][0]?.shape[0] ?? 0;
    const isWhole = [...inputs.values()].every(({ shape }) => shape[0] === rows);
    if (step === undefined || !isWhole || rows === 0 || rows % step !== 0) return [inputs];
    return Array.from({ length: rows / step }, (_, i) => sliceOutputs(inputs, i * step, (i + 1) * step));
  }

  async #runPart(inputs: TensorMap, outputNames: readonly string[]): Promise<TensorMap> {
    const declared = this.#signature.inputs;
    if (![...declared].every(([name, { shape }]) => fits(shape, inputs.get(name)?.shape))) {
      const shapes = new Map([...inputs].map(([name, { shape }]) => [name, shape]));
      throw new StatusError("INVALID_ARGUMENT", misfitText(this.#signature, shapes));
    }
    try {
      return await this.#lanes.run(inputs, outputNames);
    } catch (error) {
      // The runtime's words on inputs that do not fit are the client's to read, not a fault of the server.
      if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED")
        throw invalidArgument(error.message);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#lanes.close();
  }
}

/**
 * Loads an ONNX file into `lanes` threads.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function loadOnnx(
  path: string,
  id: ServableId,
  lanes: number,
  description: unknown,
): Promise<Servable> {
  const { bytes, model } = await readOnnxFile(path);
  refuseUnservable(model, path);
  const inputNames = model.inputs.map(({ name }) => name);
  const pool = await SessionPool.open(bytes, lanes, { inputNames, niceness: ENGINE_NICENESS });
  return new OnnxServable(id, model, pool, description);
}
