/** @file Simplification: what each rule does, and that none changes a value. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { draws, plainNumbers } from "../../test/support/op-case.ts";
import { print } from "../../test/support/print-graph.ts";
import { IMAGES, randomGraph, randomGraphs } from "../../test/support/random-graph.ts";
import { Random } from "../base/random.ts";
import { float32, int64, sizeOf, type TensorMap } from "../base/tensor.ts";
import * as g from "./build.ts";
import { check } from "./check.ts";
import { gradient } from "./gradient.ts";
import { fromNumbers } from "./numbers.ts";
import { isOp, type Node, topological } from "./ops.ts";
import { simplify } from "./simplify.ts";

const vector = (...values: number[]) => g.constant(float32([values.length], values));
const x = g.input("x", [2, 3]);
const y = g.input("y", [2, 3]);
const batch = g.input("batch", ["batch", 3]);
const row = g.input("row", [3]);
const image = g.input("image", [1, 4, 4, 2]);
const images = g.input("images", [3, 3, 3]);
const whole = g.input("whole", [2, 3], "int64");
const flag = g.input("flag", [2, 3], "bool");

/** Values for the inputs above. */
const inputs: TensorMap = new Map(
  [x, y, batch, row, image, images, whole, flag].map(({ attrs: { name, dtype }, shape }) => {
    const sides = shape.map((dim) => (typeof dim === "number" ? dim : 2));
    const numbers = Array.from(draws(name, sides), (value) =>
      dtype === "float32" ? 4 * value - 2 : 3 * value,
    );
    return [
      name,
      fromNumbers(dtype, sides, dtype === "bool" ? numbers.map((n) => (n > 1.5 ? 1 : 0)) : numbers),
    ];
  }),
);

const kernel = g.constant(float32([1, 1, 2, 3], [1, 2, 3, 4, 5, 6]));
const weights = g.constant(float32([3, 2], [1, 2, 3, 4, 5, 6]));
const last = Number.MAX_SAFE_INTEGER;

/** The derivative of a pool of windows that overlap, which gets a corner of the image as its own. */
function unpooled(op: "maxPoolGrad" | "avgPoolGrad"): Node {
  const attrs = { size: [3, 3], strides: [2, 2], padding: "same" } as const;
  const dy = g.slice(image, [0, 0, 0], [1, 2, 2]);
  return op === "avgPoolGrad"
    ? g.makeNode("avgPoolGrad", [dy], { ...attrs, inputSize: [4, 4] })
    : g.makeNode("maxPoolGrad", [dy, image, g.maxPool(image, attrs)], attrs);
}

/** One line per rule: before, and what is left of it, leaves by their names. */
const rules: Record<string, [before: Node, after: string]> = {
  "x + 0": [g.add(x, 0), "x"],
  "0 + x": [g.add(0, x), "x"],
  "x + 0 that broadcasts": [g.add(row, g.constant(float32([2, 3], [0, 0, 0, 0, 0, 0]))), "broadcastTo(row)"],
  "x + 0 for an unknown batch": [g.add(batch, vector(0, 0, 0)), "batch"],
  "x - 0": [g.sub(x, 0), "x"],
  "0 - x is left": [g.sub(0, x), "sub(0, x)"],
  "x · 1": [g.mul(x, 1), "x"],
  "1 · x": [g.mul(vector(1, 1, 1), x), "x"],
  "x / 1": [g.div(x, 1), "x"],
  "1 / x is left": [g.div(1, x), "div(1, x)"],
  "x · 0 of floats is left": [g.mul(x, 0), "mul(x, 0)"],
  "x · 0 of whole numbers": [g.mul(whole, 0), "broadcastTo(0)"],
  "x to the power 1": [g.pow(x, 1), "x"],
  "x to the power 2": [g.pow(x, 2), "mul(x, x)"],
  "x + (-y)": [g.add(x, g.neg(y)), "sub(x, y)"],
  "(-x) + y": [g.add(g.neg(x), y), "sub(y, x)"],
  "x + x": [g.add(x, x), "mul(x, 2)"],
  "x - (-y)": [g.sub(x, g.neg(y)), "add(x, y)"],
  "-(-x)": [g.neg(g.neg(x)), "x"],
  "not(not(x))": [g.not(g.not(flag)), "flag"],
  "abs(abs(x))": [g.abs(g.abs(x)), "abs(x)"],
  "abs(-x)": [g.abs(g.neg(x)), "abs(x)"],
  "relu(relu(x))": [g.relu(g.relu(x)), "relu(x)"],
  "max(x, 0)": [g.max(0, x), "relu(x)"],
  "max(x, 1) is left": [g.max(x, 1), "max(x, 1)"],
  "floor(floor(x))": [g.floor(g.floor(x)), "floor(x)"],
  "a cast there and back": [g.cast(g.cast(x, "float64"), "float32"), "x"],
  "a cast by way of a wider type": [g.cast(g.cast(flag, "float32"), "int32"), "cast(flag)"],
  "a cast by way of a narrower type is left": [g.cast(g.cast(whole, "int32"), "int64"), "cast(cast(whole))"],
  "a cast by way of a float that cannot hold all whole numbers is left": [
    g.cast(g.cast(g.cast(whole, "int32"), "float32"), "int64"),
    "cast(cast(cast(whole)))",
  ],
  "select of one and the same": [g.select(flag, x, x), "x"],
  "select by a known condition": [g.select(g.lessEqual(vector(1, 1, 1), 2), x, y), "x"],
  "reluGrad by two values is left": [
    g.makeNode("reluGrad", [g.makeNode("reluGrad", [x, y], {}), x], {}),
    "reluGrad(reluGrad(x, y), x)",
  ],
  "reluGrad twice": [g.makeNode("reluGrad", [g.makeNode("reluGrad", [x, y], {}), y], {}), "reluGrad(x, y)"],

  constants: [g.add(x, g.add(vector(1, 2, 3), g.mul(vector(1, 1, 1), 2))), "add(x, 3 4 5)"],
  "the same written twice": [g.mul(g.exp(x), g.exp(g.input("x", [2, 3]))), "mul(exp(x), exp(x))"],
  "the same with operands exchanged": [g.sub(g.mul(x, y), g.mul(y, x)), "sub(mul(x, y), mul(x, y))"],

  "a difference with operands exchanged is left": [
    g.mul(g.sub(x, y), g.sub(y, x)),
    "mul(sub(x, y), sub(y, x))",
  ],

  "broadcastTo before an op that broadcasts": [g.add(x, g.broadcastTo(row, [2, 3])), "add(x, row)"],
  "broadcastTo of all operands": [
    g.mul(g.broadcastTo(row, [2, 3]), g.broadcastTo(g.exp(row), [2, 3])),
    "broadcastTo(mul(row, exp(row)))",
  ],
  "broadcastTo before an op of one input": [g.exp(g.broadcastTo(row, [2, 3])), "broadcastTo(exp(row))"],
  "broadcastTo in a select": [g.select(flag, g.broadcastTo(row, [2, 3]), y), "select(flag, row, y)"],
  "broadcastTo of a broadcastTo": [g.broadcastTo(g.broadcastTo(row, [2, 3]), [4, 2, 3]), "broadcastTo(row)"],
  "broadcastTo the same shape": [g.broadcastTo(x, [2, 3]), "x"],

  "reshape of a reshape": [g.reshape(g.reshape(x, [6]), [3, 2]), "reshape(x)"],
  "reshape there and back": [g.reshape(g.reshape(batch, [-1, 3, 1]), [-1, 3]), "batch"],
  "reshape to the same shape": [g.reshape(batch, [-1, 3]), "batch"],
  "transpose of a transpose": [g.transpose(g.transpose(image, [0, 3, 1, 2]), [0, 2, 3, 1]), "image"],
  "transposes that make one": [
    g.transpose(g.transpose(image, [0, 3, 1, 2]), [0, 3, 1, 2]),
    "transpose(image)",
  ],
  "transpose of nothing": [g.transpose(x, [0, 1]), "x"],
  "slice of everything": [g.slice(x, [0, 0], [2, last]), "x"],
  "slice of everything backwards is left": [g.slice(x, [-1, 0], [-3, 3], [-1, 1]), "slice(x)"],
  "pad by nothing": [g.pad(x, [0, 0], [0, 0]), "x"],
  "concat of one": [g.makeNode("concat", [x], { axis: 0 }), "x"],
  "reduction over no axis": [g.reduceMax(x, { axes: [] }), "x"],
  "reduction over a side of 1": [g.reduceMean(image, { axes: [0], keepDims: true }), "image"],
  "reduction that drops a side of 1": [g.reduceSum(image, { axes: [0] }), "reshape(image)"],

  "matmul of a transpose": [g.matmul(x, g.transpose(y, [1, 0])), "matmul(x, y)"],
  "matmul of the transpose of the left": [g.matmul(g.transpose(x, [1, 0]), y), "matmul(x, y)"],
  "margins of zeros before a convolution": [
    g.conv2d(
      g.pad(image, [0, 1, 0, 0], [0, 0, 1, 0]),
      g.constant(float32([2, 2, 2, 1], [1, 2, 3, 4, 5, 6, 7, 8])),
      {
        padding: "valid",
      },
    ),
    "conv2d(image, 1 2 3 4 …)",
  ],
  "matmul of another transpose is left": [
    g.matmul(images, g.transpose(images, [2, 1, 0])),
    "matmul(images, transpose(images))",
  ],
  "channels of zeros before a convolution are left": [
    g.conv2d(g.pad(image, [0, 0, 0, 1], [0, 0, 0, 0]), g.constant(float32([1, 1, 3, 1], [1, 2, 3])), {
      padding: "valid",
    }),
    "conv2d(pad(image), 1 2 3)",
  ],
  "margins of ones before a convolution are left": [
    g.conv2d(g.pad(image, [0, 1, 0, 0], [0, 0, 0, 0], 1), g.constant(float32([2, 1, 2, 1], [1, 2, 3, 4])), {
      padding: "valid",
    }),
    "conv2d(pad(image), 1 2 3 4)",
  ],

  "scale and shift per channel": [
    g.add(g.mul(x, vector(2, 3, 4)), vector(1, 1, 2)),
    "affine(x, 2 3 4, 1 1 2)",
  ],
  "scales that add an axis are left": [
    g.mul(g.mul(row, vector(1, 2, 3)), g.constant(float32([1, 3], [1, 2, 3]))),
    "mul(mul(row, 1 2 3), 1 2 3)",
  ],
  "scale and shift by one number are left": [g.add(g.mul(x, 2), 1), "add(mul(x, 2), 1)"],
  "scales in a row": [g.div(g.mul(g.mul(x, 3), vector(2, 4, 6)), 2), "mul(x, 3 6 9)"],
  "scales and signs in a row": [g.neg(g.mul(g.neg(g.mul(x, 3)), 2)), "mul(x, 6)"],
  "shifts in a row": [g.sub(g.add(x, vector(1, 2, 3)), 1), "add(x, 0 1 2)"],
  "shift, then scale": [g.mul(g.add(x, vector(1, 2, 3)), 2), "affine(x, 2 2 2, 2 4 6)"],
  "affine of affine": [
    g.affine(g.affine(x, vector(1, 2, 3), vector(1, 1, 1)), vector(2, 2, 2), vector(0, 1, 0)),
    "affine(x, 2 4 6, 2 3 2)",
  ],
  "affine by ones": [g.affine(x, vector(1, 1, 1), vector(0, 1, 0)), "add(x, 0 1 0)"],
  "affine without shift": [g.affine(x, vector(1, 2, 1), vector(0, 0, 0)), "mul(x, 1 2 1)"],
  "a bias added to an affine": [
    g.add(g.affine(x, row, g.exp(row)), g.sin(row)),
    "affine(x, row, add(exp(row), sin(row)))",
  ],
  "a bias added to a sum that holds an affine": [
    g.add(g.add(g.exp(x), g.add(y, g.affine(x, row, row))), g.sin(row)),
    "add(exp(x), add(y, affine(x, row, add(row, sin(row)))))",
  ],
  "a shape [1, C] added to an affine": [
    g.add(g.constant(float32([1, 3], [1, 2, 3])), g.affine(x, row, row)),
    "affine(x, row, add(row, 1 2 3))",
  ],

  "a scale and shift before a kernel of one pixel": [
    g.conv2d(g.affine(image, vector(2, 3), vector(1, 2)), kernel),
    "add(conv2d(image, 2 4 6 12 15 18), 9 12 15)",
  ],
  "a scale before a kernel without margins": [
    g.conv2d(g.mul(image, vector(2, 3)), g.constant(float32([2, 2, 2, 1], [1, 2, 3, 4, 5, 6, 7, 8])), {
      padding: "valid",
    }),
    "conv2d(image, 2 6 6 12 …)",
  ],
  "a shift before a kernel that meets margins is left": [
    g.conv2d(g.add(image, vector(1, 2)), g.constant(float32([2, 2, 2, 1], [1, 2, 3, 4, 5, 6, 7, 8]))),
    "conv2d(add(image, 1 2), 1 2 3 4 …)",
  ],
  "scale after a convolution": [
    g.mul(g.conv2d(image, kernel), vector(1, 10, 100)),
    "conv2d(image, 1 20 300 4 50 600)",
  ],
  "affine after a convolution": [
    g.affine(g.conv2d(image, kernel), vector(1, 10, 100), vector(1, 2, 3)),
    "add(conv2d(image, 1 20 300 4 50 600), 1 2 3)",
  ],
  "bias, then affine after a convolution": [
    g.affine(g.add(g.conv2d(image, kernel), vector(1, 1, 2)), vector(1, 10, 100), vector(1, 2, 3)),
    "add(conv2d(image, 1 20 300 4 50 600), 2 12 203)",
  ],
  "a pool's derivative summed over the image": [
    g.reduceSum(unpooled("maxPoolGrad"), { axes: [0, 1, 2] }),
    "reduceSum(slice(image))",
  ],
  "the same of an average, with sides kept": [
    g.reduceSum(unpooled("avgPoolGrad"), { axes: [1, 2], keepDims: true }),
    "reduceSum(slice(image))",
  ],
  "a pool's derivative summed over rows only is left": [
    g.reduceSum(unpooled("avgPoolGrad"), { axes: [1] }),
    "reduceSum(avgPoolGrad(slice(image)))",
  ],
  "scale after a matrix product": [g.mul(g.matmul(x, weights), vector(1, 10)), "matmul(x, 1 20 3 40 5 60)"],
  "scale after a product with transposed weights": [
    g.mul(g.matmul(x, g.constant(float32([2, 3], [1, 3, 5, 2, 4, 6])), { transposeB: true }), vector(1, 10)),
    "matmul(x, 1 3 5 20 40 60)",
  ],
};

/** A graph as one expression: leaves by name, small constants by their elements. */
function expression(node: Node): string {
  if (isOp(node, "input")) return node.attrs.name;
  if (isOp(node, "constant")) {
    const numbers = plainNumbers(node.attrs.value);
    const shown = numbers.slice(0, numbers.length > 6 ? 4 : 6).map((n) => Number(n.toPrecision(3)));
    return shown.join(" ") + (numbers.length > 6 ? " …" : "");
  }
  return `${node.op}(${node.inputs.map(expression).join(", ")})`;
}

describe("rules", () => {
  it.each(Object.entries(rules))("%s", (_, [before, after]) => {
    const simplified = simplify([before]);
    expect(expression(simplified[0]!)).toBe(after);
    expect(simplified[0]!.shape).toEqual(before.shape);
    check(simplified);
    const [was, is] = [before, simplified[0]!].map((node) => plainNumbers(evaluate([node], { inputs })[0]!));
    expect(is!).toBeAllClose(was!);
  });
});

it("may find out more about an unknown side", () => {
  const there = g.reshape(batch, [-1]);
  expect(there.shape).toEqual(["?"]);
  expect(simplify([g.reshape(there, [-1, 3])])).toEqual([batch]);
});

describe("values that are needed elsewhere", () => {
  it("are not computed twice", () => {
    const conv = g.conv2d(image, kernel);
    const outputs = simplify([g.mul(conv, vector(1, 10, 100)), g.relu(conv)]);
    expect(outputs.map(expression)).toEqual([
      "mul(conv2d(image, 1 2 3 4 5 6), 1 10 100)",
      "relu(conv2d(image, 1 2 3 4 5 6))",
    ]);
    const shifted = g.add(x, vector(1, 2, 3));
    expect(simplify([g.mul(shifted, vector(2, 2, 2)), shifted]).map(expression)).toEqual([
      "mul(add(x, 1 2 3), 2 2 2)",
      "add(x, 1 2 3)",
    ]);
  });

  it("are one node for all outputs", () => {
    const [a, b] = simplify([g.exp(g.add(x, 0)), g.exp(g.input("x", [2, 3]))]);
    expect(a).toBe(b);
  });
});

describe("constants", () => {
  it("are not blown up", () => {
    const large = g.broadcastTo(g.scalar(1), [1000, 1000]);
    expect(expression(simplify([large])[0]!)).toBe("broadcastTo(1)");
    const wide = simplify([g.exp(g.broadcastTo(g.scalar(1), [1000, 1000]))])[0]!;
    expect(expression(wide)).toBe("broadcastTo(2.72)");
  });

  it("are told apart by type, shape and the sign of zero", () => {
    const outputs = [g.scalar(0), g.scalar(-0), g.scalar(0, "float64"), g.reshape(g.scalar(0), [1])];
    expect(new Set(simplify(outputs)).size).toBe(4);
    expect(new Set(simplify([g.scalar(3), g.scalar(3)])).size).toBe(1);
  });

  it("of one array are one, however large", () => {
    const value = float32([100, 100], new Float32Array(10_000));
    const [a, b] = simplify([g.exp(g.sub(g.input("z", [100, 100]), g.constant(value))), g.constant(value)]);
    expect(topological([a!, b!]).filter((node) => node.op === "constant").length).toBe(1);
  });

  it("of 64 bits are folded exactly", () => {
    const huge = g.constant({ dtype: "int64", shape: [1], data: BigInt64Array.of(2n ** 60n) });
    const folded = simplify([g.add(huge, g.constant(int64([1], [1])))])[0]!;
    expect(isOp(folded, "constant") && folded.attrs.value.data).toEqual(BigInt64Array.of(2n ** 60n + 1n));
  });

  it("that are large products wait for the engine", () => {
    const square = g.constant(float32([300, 300], new Float32Array(90_000).fill(1)));
    expect(simplify([g.matmul(square, square)])[0]!.op).toBe("matmul");
  });
});

it("keeps labels on what remains", () => {
  const conv = g.labelled(g.conv2d(image, kernel), "conv1");
  const normal = g.labelled(g.affine(conv, vector(1, 10, 100), vector(1, 2, 3)), "norm1");
  expect(print(simplify([g.labelled(g.relu(g.relu(normal)), "relu1")]))).toMatchInlineSnapshot(`
    "a = input "image" : float32[1, 4, 4, 2]
    b = constant [1, 20, 300, 4, …] : float32[1, 1, 2, 3]
    c = conv2d a b strides=[1, 1] padding=same dilations=[1, 1] groups=1 : float32[1, 4, 4, 3]  # conv1
    d = constant [1, 2, 3] : float32[3]
    e = add c d : float32[1, 4, 4, 3]  # norm1
    f = relu e : float32[1, 4, 4, 3]
    return f"
  `);
});

describe("random graphs", () => {
  const images = g.input("images", IMAGES, "float64");
  const random = new Random(3);
  const values = Array.from({ length: sizeOf(IMAGES) }, () => random.between(-1, 1));
  const feeds = { inputs: new Map([["images", fromNumbers("float64", IMAGES, values)]]) };
  const numbers = (node: Node) => plainNumbers(evaluate([node], feeds)[0]!);
  // Casts by way of float32 may be merged with others, so its rounding counts.
  const rounding = { absolute: 1e-5, relative: 1e-5 };

  it("keep their values, and simplifying again finds nothing", () => {
    fc.assert(
      fc.property(randomGraphs, ({ seed, steps }) => {
        const before = randomGraph(images, seed, steps);
        const [after] = simplify([before]);
        check([after!]);
        expect(after!.shape).toEqual(before.shape);
        expect(numbers(after!)).toBeAllClose(numbers(before), rounding);
        expect(simplify([after!])[0]).toBe(after);
      }),
      { numRuns: 400 },
    );
  });

  it("keep their derivatives", () => {
    fc.assert(
      fc.property(randomGraphs, ({ seed, steps }) => {
        const loss = g.reduceSum(g.add(randomGraph(images, seed, steps), g.reduceSum(images)));
        const [before] = gradient(loss, [images]);
        const [after] = simplify([before!]);
        check([after!]);
        expect(numbers(after!)).toBeAllClose(numbers(before!), rounding);
      }),
      { numRuns: 200 },
    );
  });
});
