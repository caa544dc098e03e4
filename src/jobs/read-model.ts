/** @file A model to convert, whatever its format: a SavedModel's folder or an ONNX file. */
import { findModel } from "../artifact/find-model.ts";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { SymbolicShape } from "../graph/ops.ts";
import { type OpenOnnx, openOnnx } from "../onnx/read/open.ts";
import { type CallableModel, readSavedModel } from "../savedmodel/read/read.ts";
import { PREDICT_METHOD, type Signature, type SignatureTensor } from "../savedmodel/signature.ts";
import type { SignatureGraph } from "../savedmodel/write/write.ts";

const tensors = (nodes: SignatureGraph["inputs"]): Map<string, SignatureTensor> =>
  new Map(
    Object.entries(nodes).map(([name, { dtype, shape }]) => [
      name,
      { tensorName: name, dtype, shape: shape.map((side) => (typeof side === "number" ? side : -1)) },
    ]),
  );

/** Sides that a signature leaves open get names, the first that of the batch. */
function symbolic(name: string, shape: readonly number[]): SymbolicShape {
  return shape.map((side, axis) => (side >= 0 ? side : axis === 0 ? "batch" : `${name}_${axis}`));
}

/** Shapes that a signature asks for in place of the file's. */
function otherShapes(declared: Signature, as: Signature): Record<string, SymbolicShape> {
  const changed = [...as.inputs.values()].flatMap(({ tensorName, shape }) => {
    const own = declared.inputs.get(tensorName)?.shape;
    return shape === undefined || shape.join() === own?.join()
      ? []
      : [[tensorName, symbolic(tensorName, shape)]];
  });
  return Object.fromEntries(changed) as Record<string, SymbolicShape>;
}

/** A model to convert. */
export interface ConvertibleModel extends CallableModel {
  /** The file that it was read from. */
  readonly file: string;
  /** Weights that its file stores in 8 bits or fewer; here they are floats. */
  readonly dequantized?: number;
}

/** An ONNX file as a model with one signature. */
function callable(path: string, file: OpenOnnx): ConvertibleModel {
  const whole = file.program();
  const declared: Signature = {
    inputs: tensors(whole.inputs),
    outputs: tensors(whole.outputs),
    methodName: PREDICT_METHOD,
    defaults: new Map(),
  };
  return {
    file: path,
    dequantized: file.dequantized,
    signatures: new Map([[DEFAULT_SIGNATURE, declared]]),
    async program(_name, as = declared) {
      const shapes = otherShapes(declared, as);
      const { inputs, outputs } =
        Object.keys(shapes).length === 0 ? whole : file.program({ inputShapes: shapes });
      return {
        inputs: Object.fromEntries(
          [...as.inputs].map(([alias, { tensorName }]) => [alias, inputs[tensorName]!]),
        ),
        outputs,
      };
    },
  };
}

/**
 * Reads a model to convert it.
 * @param path a SavedModel's version folder, an ONNX file, or any that `findModel` takes.
 * @param log gets a line where the path left a choice.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID`, or `MODEL_UNSUPPORTED` naming every operation that cannot be read.
 */
export async function readAnyModel(path: string, log: Log = silentLog): Promise<ConvertibleModel> {
  const { format, file, note } = await findModel(path);
  if (note !== undefined) log.info(note);
  if (format === "onnx") return callable(file, await openOnnx(file));
  return { ...(await readSavedModel(file)), file };
}
