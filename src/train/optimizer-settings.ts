/** @file The optimisers that a run can choose, as plain data. */
import { adam, adamw, type Optimizer, sgd } from "../nn/optimizers.ts";

/** Their names. */
export const OPTIMIZERS = ["adam", "adamw", "sgd"] as const;

export type OptimizerSettings =
  | { readonly name: "adam" | "adamw" }
  | { readonly name: "sgd"; readonly momentum: number; readonly nesterov: boolean };

export function optimizerOf(settings: OptimizerSettings): Optimizer {
  switch (settings.name) {
    case "adam":
      return adam();
    case "adamw":
      return adamw();
    case "sgd":
      return sgd(settings);
  }
}
