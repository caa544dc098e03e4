/** @file The variables that a model's signatures change: one value each, shared by all signatures of a version. */
import { Limiter } from "../../base/limiter.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import type { SignatureProgram } from "../../savedmodel/read/read.ts";

export class ModelState {
  readonly #values = new Map<string, Tensor>();
  readonly #turns = new Limiter(1);

  /**
   * Runs a signature that reads or changes variables, one run at a time.
   * @param run gets the variables' inputs and the names of their next values, and answers with all outputs by name.
   */
  run(
    state: NonNullable<SignatureProgram["state"]>,
    run: (variables: TensorMap, next: readonly string[]) => Promise<TensorMap>,
  ): Promise<TensorMap> {
    return this.#turns.run(async () => {
      const inputs = [...state].map(
        ([place, { input, initial }]) => [input.attrs.name, this.#values.get(place) ?? initial] as const,
      );
      const changed = [...state].flatMap(([place, { next }]) => (next === undefined ? [] : [place]));
      const outputs = await run(new Map(inputs), changed.map(nextName));
      for (const place of changed) this.#values.set(place, outputs.get(nextName(place))!);
      return outputs;
    });
  }
}

/** The output with a variable's value after a run. */
export const nextName = (place: string): string => `next/${place}`;
