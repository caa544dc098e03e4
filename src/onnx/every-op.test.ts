/** @file Every op through ONNX Runtime gives what its plain-loop evaluation gives, whatever order of axes it meets. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluateTry } from "../../test/support/check-op.ts";
import { drawInputs, draws, inputNodes, type OpTry, plainNumbers } from "../../test/support/op-case.ts";
import { opCases } from "../../test/support/op-cases.ts";
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { maxPool } from "../graph/build.ts";
import type { Node, OpName } from "../graph/ops.ts";
import { lower } from "./lower/lower.ts";
import { openRuntime } from "./runtime/runtime.ts";

/** Runs one node through ONNX Runtime, with the random numbers and parameters of the evaluation. */
async function runTry(node: Node, { parameters }: OpTry, inputs: TensorMap): Promise<Tensor> {
  const frozen = parameters === undefined ? {} : { frozen: parameters };
  const model = lower({ outputs: { y: node } }, frozen);
  const session = await openRuntime(model.bytes);
  try {
    const random = model.random.map(({ input, stream, shape }): [string, Tensor] => [
      input,
      { dtype: "float32", shape, data: draws(stream, shape) },
    ]);
    return (await session.run(new Map([...inputs, ...random]))).get("y")!;
  } finally {
    await session.close();
  }
}

/** The same image by way of an op that leaves it channels-second in the engine. */
function channelsSecond(node: Node): Node {
  const isImage = node.shape.length === 4 && node.dtype === "float32";
  return isImage ? maxPool(node, { size: [1, 1] }) : node;
}

const layouts = {
  "as given": (attempt: OpTry) => inputNodes(attempt, "float32"),
  "with images channels-second": (attempt: OpTry) => inputNodes(attempt, "float32").map(channelsSecond),
  "with an unknown batch": (attempt: OpTry) => inputNodes(attempt, "float32", "batch"),
};

async function checkRun(attempt: OpTry, nodes: readonly Node[], seed: number): Promise<void> {
  const node = attempt.build(nodes);
  const inputs = drawInputs(attempt, "float32", seed);
  const expected = evaluateTry([node], attempt, inputs)[0]!;
  const actual = await runTry(node, attempt, inputs);
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  expect(plainNumbers(actual)).toBeAllClose(plainNumbers(expected), { absolute: 2e-5, relative: 2e-5 });
}

describe.each(Object.keys(opCases) as OpName[])("%s", (op) => {
  it.each(Object.entries(layouts))("computes the same %s", async (_, nodesOf) => {
    await fc.assert(
      fc.asyncProperty(opCases[op].tries, fc.integer(), (attempt, seed) =>
        checkRun(attempt, nodesOf(attempt), seed),
      ),
      { numRuns: 25 },
    );
  });
});
