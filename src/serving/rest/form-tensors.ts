/** @file Predict requests whose body is not JSON: raw tensors, images, and forms of both. */
import { bytesPerElement, sizeOf, type Tensor } from "../../base/tensor.ts";
import { DEFAULT_SIGNATURE, type Signature, type SignatureTensor } from "../../savedmodel/signature.ts";
import { imageBatch, imageSettingsOf } from "../engine/image-input.ts";
import type { PredictJson } from "../json/tensors.ts";
import type { ModelChoice, Models } from "../predict.ts";
import type { RequestMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import { type FormPart, readForm } from "./multipart.ts";

/** Whether a content type means a raw tensor, an image or a form. */
export function isFormUpload(contentType: string): boolean {
  return /^(?:application\/octet-stream|multipart\/form-data|image\/)/i.test(contentType);
}

/**
 * Reads such a body by the model's signature. A form has one part per input and row, and may name the signature in a
 * part `signature_name`; any other body is the single input of `serving_default`.
 * @throws StatusError `INVALID_ARGUMENT` when the body does not fit the signature, FaceError `IMAGE_UNREADABLE`.
 */
export async function readUpload(
  body: Uint8Array,
  contentType: string,
  models: Models,
  model: ModelChoice,
  memory: RequestMemory,
): Promise<PredictJson> {
  const isForm = /^multipart\/form-data/i.test(contentType);
  const parts = isForm ? readForm(body, contentType) : [];
  const named = parts.find((part) => part.name === "signature_name");
  const signatureName = named === undefined ? DEFAULT_SIGNATURE : Buffer.from(named.data).toString("utf8");
  using lease = models.acquire(model);
  const signature = lease.servable.signatures.get(signatureName);
  if (signature === undefined) {
    throw invalidArgument(`Serving signature name: "${signatureName}" not found in signature def`);
  }
  const values = isForm ? parts.filter((part) => part !== named) : [onlyPart(signature, body, contentType)];
  return { signatureName, format: "row", inputs: await tensorsFrom(signature, values, memory) };
}

function onlyPart(signature: Signature, data: Uint8Array, contentType: string): FormPart {
  const [only] = signature.inputs.keys();
  if (only === undefined || signature.inputs.size > 1) {
    throw invalidArgument(
      `a body of type ${contentType} is one input, the signature takes ${signature.inputs.size}; send a form`,
    );
  }
  return { name: only, fileName: "", contentType, data };
}

async function tensorsFrom(
  signature: Signature,
  parts: readonly FormPart[],
  memory: RequestMemory,
): Promise<Map<string, Tensor>> {
  const byName = new Map<string, FormPart[]>();
  for (const part of parts) {
    if (!signature.inputs.has(part.name)) {
      throw invalidArgument(
        `the form has a part "${part.name}", the signature takes ${[...signature.inputs.keys()].join(", ")}`,
      );
    }
    byName.set(part.name, [...(byName.get(part.name) ?? []), part]);
  }
  const tensors = [...byName].map(
    async ([name, rows]) =>
      [name, await tensorFrom(name, signature.inputs.get(name)!, rows, memory)] as const,
  );
  return new Map(await Promise.all(tensors));
}

/** Strings take any bytes; images become what the input wants; all else is the elements as they lie in memory. */
async function tensorFrom(
  name: string,
  input: SignatureTensor,
  parts: readonly FormPart[],
  memory: RequestMemory,
): Promise<Tensor> {
  const { dtype } = input;
  const rows = parts.map(({ data }) => data);
  if (dtype === "string") return { dtype, shape: [rows.length], data: rows };
  const settings = imageSettingsOf(input);
  const areImages = parts.every(({ contentType }) => /^image\//i.test(contentType));
  if (areImages && settings !== undefined) return imageBatch(rows, settings, memory);
  const bytes = rows.length === 1 ? rows[0]! : Buffer.concat(rows);
  return memory.fromBytes(dtype, shapeFor(name, input, bytes.byteLength / bytesPerElement(dtype)), bytes);
}

/** The signature's shape with its one unknown side worked out from the number of elements. */
function shapeFor(name: string, { shape }: SignatureTensor, elements: number): number[] {
  const unknown = (shape ?? []).filter((side) => side < 0).length;
  if (shape === undefined || unknown > 1) {
    throw invalidArgument(`the shape of "${name}" cannot be told from raw bytes; send JSON or gRPC`);
  }
  if (unknown === 0) return [...shape];
  const known = sizeOf(shape.filter((side) => side >= 0));
  const side = elements / known;
  if (!Number.isInteger(side)) {
    throw invalidArgument(`"${name}" takes rows of ${known} elements, the body holds ${elements} elements`);
  }
  return shape.map((size) => (size < 0 ? side : size));
}
