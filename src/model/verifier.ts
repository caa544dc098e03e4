/** @file The interface of a trained network at work: images to embeddings, embeddings to probabilities. */
import type { ImageSize } from "./model-config.ts";

/** A network that turns images into embeddings. */
export interface Embedder extends AsyncDisposable {
  readonly image: ImageSize;
  readonly embeddingSize: number;
  /** Calls that pay to run at the same time, such as the sessions of a pool. */
  readonly concurrency: number;
  /** Embeddings `[count, embeddingSize]` of images `[count, height, width, 3]`, RGB in [0, 1]. */
  embed(images: Float32Array, count: number): Promise<Float32Array>;
}

/** A network that embeds and compares faces: in training, from a checkpoint, or exported. */
export interface Verifier extends Embedder {
  /** Probabilities `[count]` that two embeddings `[count, embeddingSize]` each are of one person. */
  compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array>;
}

/** A model that only takes two images at once and gives no embeddings, such as an ONNX file of the pair signature. */
export interface PairVerifier extends AsyncDisposable {
  readonly image: ImageSize;
  readonly concurrency: number;
  /** Probabilities `[count]` that two images `[count, height, width, 3]` each show one person. */
  score(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array>;
}

/** Whatever can score pairs of images. */
export type AnyVerifier = Verifier | PairVerifier;
