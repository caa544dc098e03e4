/** @file Graphs as text. */
import { expect, it } from "vitest";
import { float32, int64, tensor } from "../src/base/tensor.ts";
import * as g from "../src/graph/build.ts";
import { print } from "./support/print-graph.ts";

it("prints every node once, inputs first, with names in order", () => {
  const x = g.input("image", ["batch", 8, 8, 3]);
  const conv = g.conv2d(x, g.parameter("conv1/kernel", [3, 3, 3, 4]), { strides: [2, 2] });
  const active = g.labelled(g.relu(conv), "conv1");
  expect(print([g.mul(active, active), active])).toMatchInlineSnapshot(`
    "a = input "image" : float32[batch, 8, 8, 3]
    b = parameter "conv1/kernel" : float32[3, 3, 3, 4]
    c = conv2d a b strides=[2, 2] padding=same dilations=[1, 1] groups=1 : float32[batch, 4, 4, 4]
    d = relu c : float32[batch, 4, 4, 4]  # conv1
    e = mul d d : float32[batch, 4, 4, 4]
    return e, d"
  `);
});

it("shows small constants whole, large ones by their beginning, whatever their type", () => {
  const constants = [
    g.scalar(0.1),
    g.constant(int64([3], [1, -2, 3])),
    g.constant(float32([2, 3], [1, 2, 3, 4, 5, 6])),
    g.constant(tensor("float16", [1], Uint16Array.of(0x3e00))),
    g.constant(tensor("bool", [2], Uint8Array.of(1, 0))),
    g.constant(tensor("string", [1], [new Uint8Array()])),
  ];
  expect(print(constants)).toMatchInlineSnapshot(`
    "a = constant 0.1 : float32[]
    b = constant [1, -2, 3] : int64[3]
    c = constant [1, 2, 3, 4, …] : float32[2, 3]
    d = constant [1.5] : float16[1]
    e = constant [1, 0] : bool[2]
    f = constant … : string[1]
    return a, b, c, d, e, f"
  `);
});

it("names streams, and goes on after z with aa", () => {
  const noise = g.randomUniform("dropout/1", [2]);
  const deep = Array.from({ length: 27 }).reduce<ReturnType<typeof g.neg>>((node) => g.neg(node), noise);
  const lines = print([deep]).split("\n");
  expect(lines[0]).toBe('a = randomUniform "dropout/1" : float32[2]');
  expect(lines.slice(-4)).toEqual([
    "z = neg y : float32[2]",
    "aa = neg z : float32[2]",
    "ab = neg aa : float32[2]",
    "return ab",
  ]);
});

it("prints equal graphs equally, however they were built", () => {
  const make = () => g.softmax(g.matmul(g.input("x", [2, 3]), g.parameter("w", [3, 4])));
  expect(print([make()])).toBe(print([make()]));
});
