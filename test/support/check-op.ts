/** @file The harness of ops: what must hold for every op, over random shapes and attributes. */
import { expect } from "vitest";
import { FaceError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { isFloat, sizeOf, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { cast, constant, mul, reduceSum } from "../../src/graph/build.ts";
import { check } from "../../src/graph/check.ts";
import { gradient } from "../../src/graph/gradient.ts";
import { fromNumbers, numbersOf } from "../../src/graph/numbers.ts";
import type { Node } from "../../src/graph/ops.ts";
import { simplify } from "../../src/graph/simplify.ts";
import { evaluate } from "./evaluate.ts";
import { drawInputs, draws, inputNodes, type OpCase, type OpTry, plainNumbers } from "./op-case.ts";

/** Evaluates with the feeds that every test of an op uses. */
export function evaluateTry(outputs: readonly Node[], { parameters }: OpTry, inputs: TensorMap): Tensor[] {
  return evaluate(outputs, { inputs, random: draws, ...(parameters === undefined ? {} : { parameters }) });
}

/** The declared shape and type are those of the value, and the simplified graph gives the same. */
function checkValue(attempt: OpTry, float: "float32" | "float64", seed: number): Tensor {
  const node = attempt.build(inputNodes(attempt, float));
  check([node]);
  const inputs = drawInputs(attempt, float, seed);
  const value = evaluateTry([node], attempt, inputs)[0]!;
  expect(value.dtype).toBe(node.dtype);
  expect(value.shape).toEqual(node.shape);
  expect(value.data.length).toBe(sizeOf(value.shape));
  const simplified = simplify([node]);
  check(simplified);
  const again = evaluateTry(simplified, attempt, inputs)[0]!;
  expect(again.shape).toEqual(value.shape);
  expect(plainNumbers(again)).toBeAllClose(plainNumbers(value));
  return value;
}

/** A graph built for any batch declares a shape that the value for one batch fits. */
function checkUnknownBatch(attempt: OpTry, value: Tensor, seed: number): void {
  if (!attempt.inputs.some((input) => input.batch)) return;
  const node = attempt.build(inputNodes(attempt, "float64", "batch"));
  check([node]);
  expect(node.shape.length).toBe(value.shape.length);
  node.shape.forEach((dim, axis) => {
    if (typeof dim === "number") expect(dim).toBe(value.shape[axis]);
  });
  const again = evaluateTry(simplify([node]), attempt, drawInputs(attempt, "float64", seed))[0]!;
  expect(plainNumbers(again)).toBeAllClose(plainNumbers(value));
}

/** A scalar that depends on every element of a node, each with a weight of its own. */
function weighedSum(node: Node, random: Random): Node {
  const weights = Array.from({ length: sizeOf(node.shape.map(Number)) }, () => random.between(0.5, 1.5));
  return reduceSum(
    mul(cast(node, "float64"), constant(fromNumbers("float64", node.shape.map(Number), weights))),
  );
}

/** The derivative by one input, or undefined where the rules say that there is none. */
function derivativeBy(loss: Node, source: Node): Node | undefined {
  try {
    return gradient(loss, [source])[0];
  } catch (error) {
    expect(error).toBeInstanceOf(FaceError);
    expect((error as FaceError).message).toContain("does not depend");
    return undefined;
  }
}

const STEP = 1e-5;

/** Change of a loss per step as one input moves both ways along a direction. */
function slopeAlong(
  loss: (inputs: TensorMap) => number,
  inputs: TensorMap,
  name: string,
  direction: readonly number[],
): number {
  const value = inputs.get(name)!;
  const moved = (step: number) => {
    const data = numbersOf(value);
    const numbers = direction.map((d, i) => data[i]! + step * d);
    return loss(new Map([...inputs, [name, fromNumbers(value.dtype, value.shape, numbers)]]));
  };
  return (moved(STEP) - moved(-STEP)) / (2 * STEP);
}

/** The derivative rules agree with central differences, along random directions of each input. */
function checkDerivative(attempt: OpTry, seed: number): void {
  const random = new Random(seed).fork("derivative");
  const nodes = inputNodes(attempt, "float64");
  const inputs = drawInputs(attempt, "float64", seed);
  const loss = weighedSum(attempt.build(nodes), random);
  const lossOf = (moved: TensorMap) => numbersOf(evaluateTry([loss], attempt, moved)[0]!)[0]!;
  for (const [i, source] of nodes.entries()) {
    if (!isFloat(source.dtype)) continue;
    const derivative = derivativeBy(loss, source);
    const size = sizeOf(source.shape.map(Number));
    const direction = Array.from({ length: size }, () => random.between(-1, 1));
    const expected = slopeAlong(lossOf, inputs, `x${i}`, direction);
    let slope = 0;
    if (derivative !== undefined) {
      expect(derivative.shape).toEqual(source.shape);
      expect(derivative.dtype).toBe(source.dtype);
      check([derivative]);
      const value = evaluateTry([derivative], attempt, inputs)[0]!;
      const simplified = evaluateTry(simplify([derivative]), attempt, inputs)[0]!;
      expect(plainNumbers(simplified)).toBeAllClose(plainNumbers(value), { absolute: 1e-9, relative: 1e-9 });
      slope = plainNumbers(value).reduce((sum, d, j) => sum + d * direction[j]!, 0);
    }
    expect([slope]).toBeAllClose([expected], { absolute: 1e-6, relative: 1e-6 });
  }
}

function checkRefusal(attempt: OpTry): void {
  const nodes = inputNodes(attempt, "float64");
  const loss = reduceSum(attempt.build(nodes));
  expect(() => gradient(loss, [nodes[0]!])).toThrow("is not available");
}

/**
 * Checks one try of an op: its shape rule against its value, in both precisions; that simplification keeps the value;
 * and its derivative rule against differences.
 */
export function checkOp({ derivative }: OpCase, attempt: OpTry, seed: number): void {
  const value = checkValue(attempt, "float64", seed);
  const single = checkValue(attempt, "float32", seed);
  expect(plainNumbers(single)).toBeAllClose(plainNumbers(value), { absolute: 1e-5, relative: 1e-5 });
  checkUnknownBatch(attempt, value, seed);
  if (derivative === "compared") checkDerivative(attempt, seed);
  else checkRefusal(attempt);
}
