/** @file Tests whether this runtime accepts blocked operators in a model, once per process. */
import { float32, floats } from "../../../base/tensor.ts";
import { openRuntime } from "../../runtime/runtime.ts";
import { BLOCKED, ModelBuilder } from "../model-builder.ts";

const CHANNELS = 16;

/** Converts an image to blocks and back. */
async function tryBlocks(): Promise<boolean> {
  const model = new ModelBuilder();
  const shape = [1, CHANNELS, 2, 1];
  const blocked = model.node("ReorderInput", [model.input("x", "float32", shape)], { domain: BLOCKED });
  const back = model.node("ReorderOutput", [blocked], {
    domain: BLOCKED,
    attributes: { channels: CHANNELS },
  });
  model.output("y", back, "float32", shape);
  const x = float32(
    shape,
    Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i),
  );
  try {
    const session = await openRuntime(model.bytes("blocks"));
    const y = floats((await session.run(new Map([["x", x]]))).get("y")!);
    await session.close();
    return y.every((value, i) => value === x.data[i]);
  } catch {
    // Builds for other processors lack these operators; every op can be lowered without them.
    return false;
  }
}

let answer: Promise<boolean> | undefined;

/** Whether models that run on this machine may be lowered with `blockedOps`. */
export function hasBlockedOps(): Promise<boolean> {
  answer ??= tryBlocks();
  return answer;
}
