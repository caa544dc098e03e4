/** @file Messages between the training engine and its replicas in worker threads. */
import type { ErrorCode } from "../base/errors.ts";
import type { TensorMap } from "../base/tensor.ts";
import type { ReduceBuffer } from "./all-reduce.ts";
import type { StepSettings } from "./step.ts";

/** How replicas run. */
export interface RunSettings {
  /** Threads of each replica. */
  readonly threads: number;
  /** Execution providers in order of preference. Default `["cpu"]`. */
  readonly providers?: readonly string[];
  /** Prefix of the runtime's profiles; none are written by default. */
  readonly profilePrefix?: string;
}

/** What a replica needs to build its graphs. */
export interface ReplicaSettings extends RunSettings {
  readonly step: StepSettings;
  /** Pairs or images per step in this replica. */
  readonly batch: number;
  readonly index: number;
  /** Absent for a replica that trains alone. */
  readonly buffer: ReduceBuffer | undefined;
}

/** Pairs of images, or labelled images: the input of a step. */
export interface StepBatch {
  /** Pairs or images. */
  readonly count: number;
  /** The step's inputs by name, each with the same number of elements per pair or image. */
  readonly inputs: Readonly<Record<string, Float32Array>>;
}

export interface StepCommand {
  readonly kind: "step";
  /** This replica's part of the batch. */
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

/** The answer to each command. */
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
