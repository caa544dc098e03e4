/** @file What the training engine and its replicas in worker threads say to each other. */
import type { ErrorCode } from "../base/errors.ts";
import type { TensorMap } from "../base/tensor.ts";
import type { ImageSize } from "../model/backbone.ts";
import type { SharedLanes } from "./averaging.ts";
import type { OptimizerSettings } from "./optimizer-settings.ts";
import type { Sampling } from "./step.ts";
import type { LossSettings } from "./step-losses.ts";

/** Everything a replica needs to know to build its graphs. */
export interface ReplicaSettings {
  readonly network: string;
  readonly image: ImageSize;
  readonly sampling: Sampling;
  /** Pairs or images per step in this replica; 0 for one that only infers. */
  readonly batch: number;
  readonly loss: LossSettings;
  readonly optimizer: OptimizerSettings;
  readonly weightDecay: number;
  readonly dropout: number;
  readonly clipNorm: number;
  /** Share of the old running average of weights that stays at each step; 0 for no average. */
  readonly averageDecay: number;
  readonly index: number;
  /** Absent for a replica that trains alone. */
  readonly lanes: SharedLanes | undefined;
  readonly threads: number;
  readonly providers: readonly string[];
  /** Where the runtime shall write profiles, if anywhere. */
  readonly profilePrefix: string | undefined;
}

/** Pairs of images, or images by people, on their way into a step. */
export interface StepBatch {
  /** Pairs or images. */
  readonly count: number;
  /** The step's inputs by name, each with as many elements for every pair or image. */
  readonly inputs: Readonly<Record<string, Float32Array>>;
}

export interface StepCommand {
  readonly kind: "step";
  /** This replica's share of the batch. */
  readonly batch: StepBatch;
  readonly learningRate: number;
  /** Counted from 1. */
  readonly step: number;
  readonly seed: number;
}

export type Command =
  | StepCommand
  | { readonly kind: "load"; readonly state: TensorMap }
  | { readonly kind: "state" }
  | { readonly kind: "embed"; readonly images: Float32Array; readonly count: number }
  | {
      readonly kind: "compare";
      readonly anchors: Float32Array;
      readonly verifications: Float32Array;
      readonly count: number;
    };

/** What each command is answered with. */
export interface Answers {
  step: { readonly loss: number; readonly accuracy: number; readonly busyMs: number };
  load: undefined;
  state: TensorMap;
  embed: Float32Array;
  compare: Float32Array;
}

export type Reply =
  | { readonly answer: Answers[Command["kind"]] }
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };
