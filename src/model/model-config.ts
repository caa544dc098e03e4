/** @file What a network is: its backbone, its input, and what inference adds to the backbone. */
import { GABOR_SIZE } from "./gabor.ts";
import { networkNamed } from "./networks.ts";

/** Height and width of an image in pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** How two embeddings become a decision: by two dense layers on their distance, or by their cosine alone. */
export const HEADS = ["dense", "cosine"] as const;
export type HeadKind = (typeof HEADS)[number];

/** A network as plain data. Crops are central; their sides are fractions of the image's sides. */
export interface ModelConfig {
  /** Name of the embedding network, as `--model`. */
  readonly network: string;
  readonly input: ImageSize;
  /** Crop that the backbone sees; the whole image by default. */
  readonly crop?: number;
  /** One backbone per crop, whose embeddings inference concatenates; instead of `crop`. */
  readonly crops?: readonly number[];
  /** Crops whose Gabor features inference concatenates too. */
  readonly gaborCrops?: readonly number[];
  /** Whether inference averages the embeddings of an image and its mirror image. */
  readonly mirror?: boolean;
  /** Embedding size after the PLDA projection; 0, the default, for none. */
  readonly projectionDim?: number;
  /** Default `dense`. */
  readonly head?: HeadKind;
}

/** Size of an embedding at inference. */
export function embeddingSizeOf({
  network,
  crops = [],
  gaborCrops = [],
  projectionDim = 0,
}: ModelConfig): number {
  if (projectionDim > 0) return projectionDim;
  return networkNamed(network).embeddingSize * Math.max(1, crops.length) + GABOR_SIZE * gaborCrops.length;
}

/** Whether inference is the backbone alone, as it is trained. */
export const isPlain = ({
  crops = [],
  gaborCrops = [],
  mirror = false,
  projectionDim = 0,
}: ModelConfig): boolean => crops.length + gaborCrops.length === 0 && !mirror && projectionDim === 0;
