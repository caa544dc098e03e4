/** @file Exponential moving averages of a network's weights, used in their place at inference. */
import type { TensorMap } from "../base/tensor.ts";
import type { Weight } from "../nn/network-builder.ts";
import { ParameterStore } from "../onnx/runtime/parameter-store.ts";

const PREFIX = "average/";

/** Name of the average of a weight in a checkpoint. */
export const averageName = (weight: string): string => `${PREFIX}${weight}`;

/** Decay of the average at a step, counted from 1; small at first, when old weights are poor. */
export const decayAt = (decay: number, step: number): number => Math.min(decay, (1 + step) / (10 + step));

/** The state with the averages, where it holds any, in place of the weights. */
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

  /** Moves each average towards the current value of its weight. */
  follow(step: number): void {
    const rate = 1 - decayAt(this.#decay, step);
    for (const name of this.#names) {
      const average = this.store.elements(name);
      const value = this.#source.elements(name);
      for (let i = 0; i < average.length; i++) average[i]! += rate * (value[i]! - average[i]!);
    }
  }

  /** Loads the averages of a state, or its weights without any. */
  load(state: TensorMap): void {
    this.store.load(averagedState(state));
  }

  read(): TensorMap {
    return new Map([...this.store.read(this.#names)].map(([name, value]) => [averageName(name), value]));
  }
}
