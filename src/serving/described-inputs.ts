/** @file Inputs of a model that describes them: refused where their shapes or values cannot be right. */
import { checkValues } from "../artifact/allowed-values.ts";
import type { ExportedModel } from "../artifact/description.ts";
import { hasDType, type TensorMap } from "../base/tensor.ts";
import type { Signature } from "../savedmodel/signature.ts";
import { fits, misfitText, shapesOf } from "./engine/session-run.ts";
import { invalidArgument } from "./status.ts";

/** The signature for any number of rows. */
function forAnyRows({ inputs, ...signature }: Signature): Signature {
  const open = [...inputs].map(([name, { shape, ...input }]) => {
    const sides = shape?.map((side, axis) => (axis === 0 ? -1 : side));
    return [name, { ...input, shape: sides }] as const;
  });
  return { ...signature, inputs: new Map(open) };
}

/** Whether an input takes images of the described size, in any arrangement. */
function takesImages(
  shape: readonly number[] | undefined,
  { height, width, channels }: ExportedModel["image"],
): boolean {
  const [, ...sides] = shape ?? [];
  return sides.reduce((size, side) => size * side, 1) === height * width * channels;
}

/**
 * Checks the inputs of a signature against its declaration and the model's description. A model without a description
 * takes whatever its graph takes, as in TensorFlow Serving.
 * @throws StatusError `INVALID_ARGUMENT` for other shapes, FaceError `SHAPE_MISMATCH` for pixels outside the described range
 *   and numbers that are not finite.
 */
export function checkDescribed(
  description: ExportedModel | undefined,
  signature: Signature,
  inputs: TensorMap,
): void {
  if (description === undefined) return;
  const shapes = shapesOf(inputs);
  const declared = forAnyRows(signature);
  if (!fits(declared, shapes)) throw invalidArgument(misfitText(declared, shapes));
  const { range } = description.image;
  for (const [name, value] of inputs) {
    if (!hasDType(value, "float32")) continue;
    const areImages = takesImages(signature.inputs.get(name)?.shape, description.image);
    checkValues(name, value, areImages ? range : undefined);
  }
}
