/** @file The signatures of an exported model, with the names of their tensors. */
import { float32, type Shape, type TensorMap } from "../base/tensor.ts";

/** The signature that TensorFlow Serving runs when a request names none. */
export const DEFAULT_SIGNATURE = "serving_default";

/** Two images `[-1, height, width, 3]`, float32 RGB in [0, 1], to the probability `[-1, 1]` that they show one person. */
export const PAIR = {
  signature: DEFAULT_SIGNATURE,
  anchor: "anchor_img",
  verification: "verification_img",
  classifier: "classifier",
} as const;

/** Images `[-1, height, width, 3]` to embeddings `[-1, embeddingSize]`. */
export const EMBED = { signature: "embed", image: "input_image", embedding: "embedding" } as const;

/** Two embeddings `[-1, embeddingSize]` to a probability `[-1, 1]`. */
export const COMPARE = {
  signature: "compare",
  anchor: "anchor_embedding",
  verification: "verification_embedding",
  classifier: "classifier",
} as const;

/** Two JPEG or PNG files `[-1]`, already framed, to a probability `[-1, 1]`. */
export const VERIFY_ENCODED = {
  signature: "verify_encoded",
  anchor: "anchor_bytes",
  verification: "verification_bytes",
  classifier: "classifier",
} as const;

/** Sizes of a model's images and embeddings; `undefined` where its signatures leave them open. */
export interface SignatureSizes {
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  readonly embeddingSize?: number | undefined;
}

type Ports = ReadonlyMap<string, { readonly shape?: Shape | undefined }>;

/** The sizes that the signatures of an exported model name. */
export function sizesIn(
  signatures: ReadonlyMap<string, { readonly inputs: Ports; readonly outputs: Ports }>,
): SignatureSizes {
  const named = (side: number | undefined) => (side === undefined || side < 0 ? undefined : side);
  const inputOf = (signature: string, name: string) => signatures.get(signature)?.inputs.get(name)?.shape;
  const embedded = signatures.get(EMBED.signature)?.outputs.get(EMBED.embedding)?.shape;
  const [, height, width] =
    inputOf(PAIR.signature, PAIR.anchor) ?? inputOf(EMBED.signature, EMBED.image) ?? [];
  const [, embeddingSize] = embedded ?? inputOf(COMPARE.signature, COMPARE.anchor) ?? [];
  return { height: named(height), width: named(width), embeddingSize: named(embeddingSize) };
}

/** The two inputs of a signature that compares, both of one shape. */
export const pairInputs = (
  { anchor, verification }: { readonly anchor: string; readonly verification: string },
  shape: Shape,
  anchors: Float32Array,
  verifications: Float32Array,
): TensorMap =>
  new Map([
    [anchor, float32(shape, anchors)],
    [verification, float32(shape, verifications)],
  ]);
