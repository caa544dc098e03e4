/** @file Networks on images in blocks give what their evaluation gives, and stay in blocks where they can. */
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { expectLikeEvaluation, noiseFrom } from "../../../../test/support/like-evaluation.ts";
import { Random } from "../../../base/random.ts";
import type { Shape, Tensor } from "../../../base/tensor.ts";
import * as g from "../../../graph/build.ts";
import { gradient } from "../../../graph/gradient.ts";
import type { ConvAttrs, Node } from "../../../graph/ops.ts";
import { ModelProtoSchema } from "../../../proto/onnx/onnx_pb.ts";
import { ParameterStore } from "../../runtime/parameter-store.ts";
import { Session } from "../../runtime/session.ts";
import { lower } from "../lower.ts";
import { BLOCKED } from "../model-builder.ts";
import { hasBlockedOps } from "./support.ts";

const random = new Random(11);
const noise = noiseFrom(random);

/** Runs a program on blocks, compares it with its evaluation, and returns its blocked operators. */
async function blockedRun(
  outputs: Record<string, Node>,
  given: { inputs: Record<string, Shape>; parameters: Record<string, Shape> },
): Promise<string[]> {
  const draw = (shapes: Record<string, Shape>) =>
    new Map(Object.entries(shapes).map(([name, shape]): [string, Tensor] => [name, noise(shape)]));
  const [inputs, parameters] = [draw(given.inputs), draw(given.parameters)];
  const store = new ParameterStore();
  const model = lower({ outputs }, { blockedOps: true });
  await using session = await Session.open(model, store, { blockedLayouts: false });
  store.load(parameters);
  const actual = await session.run(inputs);
  expectLikeEvaluation(actual, outputs, { inputs, parameters });
  const { graph } = fromBinary(ModelProtoSchema, model.bytes);
  return graph!.node.filter(({ domain }) => domain === BLOCKED).map(({ opType }) => opType);
}

const derivatives = (y: Node, sources: Record<string, Node>): Record<string, Node> => {
  const loss = g.reduceSum(g.mul(y, g.constant(noise(y.shape.map(Number)))));
  const nodes = gradient(loss, Object.values(sources));
  return Object.fromEntries(Object.keys(sources).map((name, i) => [`d${name}`, nodes[i]!]));
};

describe.runIf(await hasBlockedOps())("a convolution in blocks", () => {
  const layers: Record<string, { kernel: number[]; attrs: Partial<ConvAttrs> }> = {
    "of one group": { kernel: [3, 3, 16, 32], attrs: {} },
    strided: { kernel: [3, 2, 32, 16], attrs: { strides: [2, 3] } },
    dilated: { kernel: [2, 3, 16, 48], attrs: { dilations: [2, 1], padding: "valid" } },
    "with margins of its own": {
      kernel: [3, 3, 32, 32],
      attrs: {
        padding: [
          [2, 0],
          [1, 2],
        ],
      },
    },
  };

  it.each(Object.entries(layers))("%s", async (_, { kernel, attrs }) => {
    const shapes = { inputs: { x: [2, 7, 6, kernel[2]!] }, parameters: { k: kernel } };
    const [x, k] = [g.input("x", shapes.inputs.x), g.parameter("k", kernel)];
    const y = g.conv2d(x, k, attrs);
    const operators = await blockedRun({ y, ...derivatives(y, { x, k }) }, shapes);
    expect(operators).toContain("Conv");
  });

  it("of an image with few channels, where relu follows", async () => {
    const shapes = { inputs: { x: [2, 8, 8, 3] }, parameters: { k: [5, 5, 3, 16], b: [16] } };
    const [x, k, b] = [
      g.input("x", shapes.inputs.x),
      g.parameter("k", [5, 5, 3, 16]),
      g.parameter("b", [16]),
    ];
    const sum = g.add(g.conv2d(x, k), b);
    const y = g.relu(sum);
    expect(await blockedRun({ y, ...derivatives(y, { k, b }) }, shapes)).toContain("Conv");
    // A sum that is needed itself keeps its relu apart, and then there is nothing to gain.
    expect(await blockedRun({ y, sum }, shapes)).toEqual([]);
  });

  it("is left as it is where channels do not fill blocks", async () => {
    const shapes = { inputs: { x: [2, 5, 5, 12] }, parameters: { k: [3, 3, 12, 16] } };
    const y = g.relu(g.conv2d(g.input("x", shapes.inputs.x), g.parameter("k", shapes.parameters.k)));
    expect(await blockedRun({ y }, shapes)).toEqual([]);
  });
});

describe.runIf(await hasBlockedOps())("a network in blocks", () => {
  const shapes = {
    inputs: { x: [2, 8, 8, 16] },
    parameters: { k: [3, 3, 16, 32], b: [32], point: [1, 1, 32, 16], c: [16] },
  };
  const x = g.input("x", shapes.inputs.x);
  const [k, b, point, c] = Object.entries(shapes.parameters).map(([name, shape]) =>
    g.parameter(name, shape),
  ) as [Node, Node, Node, Node];
  const conv = g.relu(g.add(g.conv2d(x, k), b));

  it("enters and leaves blocks once, with relus and pools inside", async () => {
    const pooled = g.avgPool(g.maxPool(conv, { size: [2, 2] }), { size: [2, 2] });
    const y = g.relu(g.add(g.conv2d(pooled, point), c));
    const operators = await blockedRun({ y }, shapes);
    // Two entries are the kernels', two each.
    expect(operators.filter((operator) => operator === "ReorderInput")).toHaveLength(5);
    expect(operators.filter((operator) => operator === "ReorderOutput")).toHaveLength(1);
    expect(operators).toEqual(expect.arrayContaining(["MaxPool", "AveragePool"]));
  });

  it("has its derivatives in blocks too", async () => {
    const y = g.relu(g.add(g.conv2d(g.maxPool(conv, { size: [2, 2] }), point), c));
    const operators = await blockedRun({ y, ...derivatives(y, { x, k, b, point, c }) }, shapes);
    expect(operators).toContain("Upsample");
  });

  it("pools with windows that overlap", async () => {
    const y = g.maxPool(conv, { size: [3, 3], strides: [2, 2] });
    await blockedRun({ y, ...derivatives(y, { x, k }) }, shapes);
  });

  it("meets images in other orders, numbers per channel, comparisons and moves", async () => {
    const other = g.input("other", [2, 8, 8, 32]);
    const outputs = {
      sum: g.add(conv, other),
      image: g.mul(conv, g.constant(noise([2, 8, 8, 32]))),
      channels: g.mul(conv, b),
      positive: g.cast(g.less(g.scalar(0.5), conv), "float32"),
      turned: g.transpose(conv, [0, 2, 1, 3]),
      joined: g.concat([conv, other], 3),
      cut: g.slice(conv, [0, 1, 2, 3], [2, 5, 6, 7]),
      mean: g.reduceMean(conv, { axes: [1, 2] }),
      doubled: g.sqrt(g.mul(conv, 2)),
    };
    await blockedRun(outputs, { ...shapes, inputs: { ...shapes.inputs, other: [2, 8, 8, 32] } });
  });
});

describe.runIf(await hasBlockedOps())("a first layer whose relu only goes into a pool", () => {
  const shapes = { inputs: { x: [2, 12, 8, 3] }, parameters: { k: [5, 5, 3, 16], b: [16] } };
  const [x, k, b] = [g.input("x", shapes.inputs.x), g.parameter("k", [5, 5, 3, 16]), g.parameter("b", [16])];
  const relu = g.relu(g.add(g.conv2d(x, k), b));
  const count = (operators: readonly string[], name: string) =>
    operators.filter((operator) => operator === name).length;

  it.each([
    [2, 2],
    [3, 2],
    [1, 4],
  ] as [number, number][])("is computed in parts for windows of %i×%i", async (...size) => {
    const y = g.maxPool(relu, { size });
    const operators = await blockedRun({ y, ...derivatives(y, { k, b }) }, shapes);
    // The fourth column of a window would begin behind the convolution's margin.
    const isParted = size[1] < 4;
    expect(count(operators, "Conv")).toBe(isParted ? size[0] * size[1] : 1);
    expect(count(operators, "Upsample") > 0).toBe(!isParted);
  });

  it("gives a window's derivative out just once where it holds equals", async () => {
    // An image of ones: windows inside it hold equals with equal surroundings, so that it is all one which of them gets it.
    const same = g.relu(g.conv2d(g.div(x, x), k));
    const pooled = g.maxPool(same, { size: [2, 2] });
    expect(count(await blockedRun({ pooled, ...derivatives(pooled, { k }) }, shapes), "Conv")).toBe(4);
  });

  it("is computed in one piece where somebody else needs it", async () => {
    const y = g.maxPool(relu, { size: [2, 2] });
    expect(count(await blockedRun({ y }, shapes), "Conv")).toBe(1);
    expect(count(await blockedRun({ y, relu, ...derivatives(y, { k }) }, shapes), "Conv")).toBe(1);
    const other = g.add(y, g.avgPool(relu, { size: [2, 2] }));
    expect(count(await blockedRun({ other, ...derivatives(other, { k, b }) }, shapes), "Conv")).toBe(1);
    expect(count(await blockedRun({ y, ...derivatives(y, { x, k }) }, shapes), "MaxPool")).toBe(1);
  });
});
