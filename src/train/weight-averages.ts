/** @file A running average of a network's weights: what the last steps have in common, without their noise. */
import type { TensorMap } from "../base/tensor.ts";
import type { Weight } from "../nn/network-builder.ts";
import { ParameterStore } from "../onnx/runtime/parameter-store.ts";

const PREFIX = "average/";

/** Under which name a checkpoint keeps the average of a weight. */
export const averageName = (weight: string): string => `${PREFIX}${weight}`;

/** Share of the old average that stays at a step, counted from 1: little at first, when old weights are worth nothing. */
export const decayAt = (decay: number, step: number): number => Math.min(decay, (1 + step) / (10 + step));

/**
 * The weights to measure and to export: the averages where a state holds them, else the weights themselves.
 * @returns by the weights' own names, everything else of the state as it is.
 */
export function averagedState(state: TensorMap): TensorMap {
  const averages = [...state].filter(([name]) => name.startsWith(PREFIX));
  return new Map([...state, ...averages.map(([name, value]) => [name.slice(PREFIX.length), value] as const)]);
}

/** Exponential moving averages of all weights and running statistics (Polyak and Juditsky, 1992, in its usual form). */
export class WeightAverages {
  /** The averages under the weights' own names. */
  readonly store = new ParameterStore();
  readonly #source: ParameterStore;
  readonly #names: readonly string[];
  readonly #decay: number;

  constructor(source: ParameterStore, weights: readonly Weight[], decay: number) {
    this.#source = source;
    this.#names = weights.map(({ name }) => name);
    this.#decay = decay;
    this.store.admit(this.#names.map((name) => source.port(name)));
  }

  /** Moves each average towards its weight's present value. */
  follow(step: number): void {
    const share = 1 - decayAt(this.#decay, step);
    for (const name of this.#names) {
      const average = this.store.elements(name);
      const value = this.#source.elements(name);
      for (let i = 0; i < average.length; i++) average[i]! += share * (value[i]! - average[i]!);
    }
  }

  /** Takes the averages of a state, or its weights where it holds no averages yet. */
  load(state: TensorMap): void {
    this.store.load(averagedState(state));
  }

  read(): TensorMap {
    return new Map([...this.store.read(this.#names)].map(([name, value]) => [averageName(name), value]));
  }
}
