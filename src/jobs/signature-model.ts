/** @file Runs the signatures of any SavedModel or ONNX file within a program. */

import { basename, resolve } from "node:path";
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import type { TensorMap } from "../base/tensor.ts";
import type { Signature } from "../savedmodel/signature.ts";
import { runUntil } from "../serving/engine/servable.ts";
import { type LoaderOptions, savedModelLoader } from "../serving/repository/loader.ts";
import { OpenCalls } from "../verify/open-calls.ts";

/** A model whose signatures can be run. */
export interface SignatureModel extends AsyncDisposable {
  /** By name: inputs and outputs with their types and shapes, -1 for a side of any length. */
  readonly signatures: ReadonlyMap<string, Signature>;
  /**
   * Runs a signature.
   * @param inputs tensors by the names in the signature.
   * @returns all outputs by name.
   * @throws FaceError `MODEL_UNSUPPORTED` when the model has no such signature, or when an operation is not supported;
   *   `SHAPE_MISMATCH` when the inputs do not fit; `CONFIG_INVALID` when the inputs are no map, or the model is closed.
   */
  run(signature: string, inputs: TensorMap): Promise<TensorMap>;
  /** Waits for the runs in progress, then frees the model; `await using` does the same. */
  close(): Promise<void>;
}

/** What the options of a loader may be. */
export const loaderOptions = {
  sessions: given.threads.optional(),
  aloneThreads: given.threads.optional(),
  tags: z.array(z.string()).optional(),
} satisfies Record<keyof LoaderOptions, z.ZodType>;

const tensorMap = z.custom<TensorMap>(
  (value) => value instanceof Map,
  'a Map of tensors by name, such as new Map([["input_image", tensor]])',
);

/**
 * Opens a version's folder that holds `saved_model.pb` or `model.onnx`.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function loadSignatures(folder: string, options: LoaderOptions = {}): Promise<SignatureModel> {
  checkPath("loadSignatures, the folder", folder);
  checkOptions("loadSignatures", z.strictObject(loaderOptions), options);
  const path = resolve(folder);
  const version = BigInt(/^\d+$/.test(basename(path)) ? basename(path) : 1);
  const servable = await savedModelLoader(options)(path, { name: "model", version });
  const calls = new OpenCalls(() => `the model ${folder}`);
  const close = () => calls.close(() => servable.close());
  async function run(name: string, inputs: TensorMap): Promise<TensorMap> {
    checkOptions("run, the inputs", tensorMap, inputs);
    const signature = servable.signatures.get(name);
    if (signature === undefined) {
      const names = [...servable.signatures.keys()].join(", ");
      throw new FaceError("MODEL_UNSUPPORTED", `the model has no signature ${name}`, {
        hint: `choose ${names}`,
      });
    }
    const given = new Map([...signature.defaults, ...inputs]);
    for (const input of signature.inputs.keys()) {
      if (!given.has(input))
        throw new FaceError("SHAPE_MISMATCH", `the input ${input} of ${name} is missing`);
    }
    return await runUntil(servable, name, given, [...signature.outputs.keys()], {});
  }
  return {
    signatures: servable.signatures,
    run: (name, inputs) => calls.run(() => run(name, inputs)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
