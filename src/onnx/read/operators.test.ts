/** @file Every operator that can be read computes what ONNX Runtime computes of the file, for images in either order. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { type OnnxFile, onnxFile } from "../../../test/support/onnx-file.ts";
import {
  type Attributes,
  type OnnxCase,
  onnxOperatorCases,
} from "../../../test/support/onnx-operator-cases.ts";
import { Random } from "../../base/random.ts";
import { float32, sizeOf, type Tensor } from "../../base/tensor.ts";
import { numbersOf } from "../../graph/numbers.ts";
import { lower } from "../lower/lower.ts";
import { openRuntime } from "../runtime/runtime.ts";
import { onnxImporters } from "./from-onnx.ts";
import { readOnnx } from "./read.ts";

const random = new Random(8);
const isTensor = (given: readonly number[] | Tensor): given is Tensor => "dtype" in given;

/** The values of a run. */
function drawn({ given, between: [low, high] = [-3, 3] }: OnnxCase): Tensor[] {
  return given.map((each) =>
    isTensor(each)
      ? each
      : float32(
          each,
          Array.from({ length: sizeOf(each) }, () => random.between(low, high)),
        ),
  );
}

/** One node as a file; with `pooled`, behind an operator after which images are at hand with their channels last. */
function fileOf(
  op: string,
  each: OnnxCase,
  inputs: readonly Tensor[],
  pooled: boolean,
  batch?: string,
): OnnxFile {
  const { opset = 17, stored = [], attributes = {}, outputs = 1 } = each;
  const names = inputs.map((_, i) => `x${i}`);
  const isImage = (value: Tensor) => value.shape.length === 4 && value.dtype === "float32";
  const before = inputs.flatMap((value, i) =>
    pooled && isImage(value)
      ? [{ op: "MaxPool", inputs: [`x${i}`], outputs: [`p${i}`], attributes: { kernel_shape: [1, 1] } }]
      : [],
  );
  const ahead = names.map((name, i) => (pooled && isImage(inputs[i]!) ? `p${i}` : name));
  const results = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const kept = stored.flatMap((value, i): [string, Tensor][] =>
    value === undefined ? [] : [[`s${i}`, value]],
  );
  return {
    opset,
    inputs: Object.fromEntries(
      inputs.map(({ dtype, shape }, i) => [
        names[i]!,
        {
          dtype,
          shape:
            batch !== undefined && shape.length > 1 && shape[0] === 2 ? [batch, ...shape.slice(1)] : shape,
        },
      ]),
    ),
    stored: Object.fromEntries(kept),
    nodes: [
      ...before,
      {
        op,
        inputs: [...ahead, ...stored.map((value, i) => (value === undefined ? "" : `s${i}`))],
        outputs: results,
        attributes,
      },
    ],
    outputs: Object.fromEntries(results.map((name) => [name, { dtype: resultType(op, attributes, each) }])),
  };
}

const TRUTHS = [
  "Not",
  "IsNaN",
  "Equal",
  "Less",
  "LessOrEqual",
  "Greater",
  "GreaterOrEqual",
  "And",
  "Or",
  "Xor",
];

function resultType(op: string, { to }: Attributes, { stored = [] }: OnnxCase): Tensor["dtype"] {
  if (TRUTHS.includes(op)) return "bool";
  if (["Shape", "Size", "ArgMax", "ArgMin", "Range"].includes(op)) return "int64";
  if (op === "QuantizeLinear") return stored[1]?.dtype ?? "uint8";
  if (op === "Cast") return to === 6 ? "int32" : "float64";
  return "float32";
}

async function run(model: Uint8Array, inputs: readonly Tensor[]): Promise<ReadonlyMap<string, Tensor>> {
  const session = await openRuntime(model);
  try {
    const feeds = inputs.map((value, i): [string, Tensor] => [`x${i}`, value]);
    return await session.run(new Map(feeds.filter(([name]) => session.inputNames.includes(name))));
  } finally {
    await session.close();
  }
}

const TOLERANCE = { absolute: 2e-6, relative: 2e-6 };

function expectSame(actual: Tensor, expected: Tensor): void {
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  expect(numbersOf(actual)).toBeAllClose(numbersOf(expected), TOLERANCE);
}

async function checkCase(op: string, each: OnnxCase, pooled: boolean, batch?: string): Promise<void> {
  const inputs = drawn(each);
  const model = onnxFile(fileOf(op, each, inputs, pooled, batch));
  const expected = await run(model, inputs);
  const program = readOnnx(model);
  const lowered = await run(lower({ outputs: program.outputs }).bytes, inputs);
  const feeds = new Map(inputs.map((value, i): [string, Tensor] => [`x${i}`, value]));
  const evaluated = evaluate(Object.values(program.outputs), { inputs: feeds });
  for (const [i, [name, value]] of [...expected].entries()) {
    expectSame(lowered.get(name)!, value);
    expectSame(evaluated[i]!, value);
  }
}

describe.each(Object.entries(onnxOperatorCases).filter(([, list]) => list.length > 0))("%s", (op, list) => {
  it.each(list)("$title", async (each) => {
    await checkCase(op, each, false);
    await checkCase(op, each, true);
  });
});

it("is tried for every operator that can be read", () => {
  expect(Object.keys(onnxOperatorCases).toSorted()).toEqual(Object.keys(onnxImporters).toSorted());
});
