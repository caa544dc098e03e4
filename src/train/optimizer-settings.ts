/** @file The optimisers that a run can choose, as plain data. */
import { adam, type Optimizer, sgd } from "../nn/optimizers.ts";

export type OptimizerSettings =
  | { readonly name: "adam" }
  | { readonly name: "sgd"; readonly momentum: number; readonly nesterov: boolean };

export function optimizerOf(settings: OptimizerSettings): Optimizer {
  switch (settings.name) {
    case "adam":
      return adam();
    case "sgd":
      return sgd(settings);
  }
}
