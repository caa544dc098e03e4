/** @file Whole graphs through ONNX Runtime: fusions, parameters, derivatives, and what comes out of the lowering. */
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { expectLikeEvaluation, noiseFrom } from "../../../test/support/like-evaluation.ts";
import { Random } from "../../base/random.ts";
import { float32, floats, int64, type Tensor } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { gradient } from "../../graph/gradient.ts";
import { loop } from "../../graph/loops.ts";
import type { ConvAttrs, Node } from "../../graph/ops.ts";
import { ModelProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { parseOnnx } from "../runtime/model-file.ts";
import { ParameterStore } from "../runtime/parameter-store.ts";
import { Session } from "../runtime/session.ts";
import { hasBlockedOps } from "./blocked/support.ts";
import { lower, type Program } from "./lower.ts";

const random = new Random(7);
const noise = noiseFrom(random);

/** The operators of a lowered program in their order, without the Identity that names each output. */
function operators(program: Program, options: Parameters<typeof lower>[1] = {}): string[] {
  const { graph } = fromBinary(ModelProtoSchema, lower(program, options).bytes);
  return graph!.node.map((node) => node.opType).filter((op) => op !== "Identity");
}

/** Runs a program and compares each output with its evaluation. */
async function expectEvaluated(
  outputs: Record<string, Node>,
  inputs: ReadonlyMap<string, Tensor>,
  parameters: ReadonlyMap<string, Tensor> = new Map(),
): Promise<void> {
  await using session = await Session.open(lower({ outputs }, { frozen: parameters }));
  expectLikeEvaluation(await session.run(inputs), outputs, { inputs, parameters });
}

describe("a convolution with a bias", () => {
  const x = g.input("x", [2, 5, 5, 3]);
  const conv = g.conv2d(x, g.constant(noise([3, 3, 3, 4])));
  const inputs = new Map([["x", noise([2, 5, 5, 3])]]);

  it("becomes one operator, whichever side the bias stands on", async () => {
    const bias = g.constant(noise([4]));
    expect(operators({ outputs: { y: g.add(conv, bias) } })).toEqual(["Transpose", "Conv", "Transpose"]);
    await expectEvaluated({ y: g.add(conv, bias) }, inputs);
    await expectEvaluated({ y: g.add(bias, conv) }, inputs);
  });

  it("stays apart where the convolution is an output itself", async () => {
    await expectEvaluated({ y: g.add(conv, g.constant(noise([4]))), conv }, inputs);
  });

  it("is added afterwards where the bias is not one number per channel", async () => {
    await expectEvaluated({ y: g.add(conv, g.constant(noise([1]))) }, inputs);
    await expectEvaluated({ y: g.add(conv, g.constant(noise([5, 4]))) }, inputs);
  });
});

it("folds a normalisation with stored statistics into the convolution before it", async () => {
  const [scale, mean, variance] = [noise([4]), noise([4]), noise([4])];
  const parameters = new Map<string, Tensor>([
    ["kernel", noise([3, 3, 3, 4])],
    ["scale", scale],
    ["mean", mean],
    ["variance", float32([4], floats(variance).map(Math.abs))],
  ]);
  const conv = g.conv2d(g.input("x", ["batch", 6, 6, 3]), g.parameter("kernel", [3, 3, 3, 4]));
  const factor = g.div(g.parameter("scale", [4]), g.sqrt(g.add(g.parameter("variance", [4]), 1e-3)));
  const normal = g.affine(conv, factor, g.neg(g.mul(g.parameter("mean", [4]), factor)));
  const y = g.relu(normal);
  expect(operators({ outputs: { y } }, { frozen: parameters })).toEqual([
    "Transpose",
    "Conv",
    "Relu",
    "Transpose",
  ]);
  await expectEvaluated({ y }, new Map([["x", noise([2, 6, 6, 3])]]), parameters);
});

it.each([4, 64])("keeps the statistics of layers with %i channels apart", async (channels) => {
  const shape = [2, 3, 3, channels];
  const [first, second] = [
    g.channelMoments(g.input("a", shape)),
    g.channelMoments(g.input("b", [6, channels])),
  ];
  const far = float32(
    [6, channels],
    floats(noise([6, channels])).map((value) => value + 10),
  );
  await expectEvaluated(
    { mean: first.mean, variance: first.variance, otherMean: second.mean, otherVariance: second.variance },
    new Map([
      ["a", noise(shape)],
      ["b", far],
    ]),
  );
});

describe("derivatives of a convolution with many channels", () => {
  const layers: Record<string, { kernel: number[]; attrs: Partial<ConvAttrs> }> = {
    "one group": { kernel: [3, 3, 17, 5], attrs: {} },
    strided: { kernel: [3, 2, 17, 5], attrs: { strides: [2, 3] } },
    dilated: { kernel: [2, 3, 17, 5], attrs: { dilations: [2, 1], padding: "valid" } },
    pointwise: { kernel: [1, 1, 17, 5], attrs: {} },
    grouped: { kernel: [3, 3, 6, 9], attrs: { groups: 3 } },
    depthwise: { kernel: [3, 3, 1, 18], attrs: { groups: 18, strides: [2, 2] } },
  };

  it.each(Object.entries(layers))("%s", async (_, { kernel, attrs }) => {
    const channels = kernel[2]! * (attrs.groups ?? 1);
    const [x, k] = [g.input("x", [2, 7, 6, channels]), g.input("k", kernel)];
    const y = g.conv2d(x, k, attrs);
    const loss = g.reduceSum(g.mul(y, g.constant(noise(y.shape.map(Number)))));
    const [dx, dk] = gradient(loss, [x, k]);
    await expectEvaluated(
      { y, dx: dx!, dk: dk! },
      new Map([
        ["x", noise([2, 7, 6, channels])],
        ["k", noise(kernel)],
      ]),
    );
  });
});

describe.runIf(await hasBlockedOps())("depthwise convolutions in blocks", () => {
  const layers: Record<string, { kernel: [number, number]; attrs: Partial<ConvAttrs> }> = {
    plain: { kernel: [3, 3], attrs: {} },
    strided: { kernel: [3, 3], attrs: { strides: [2, 2] } },
    "strided, with rows left over": { kernel: [1, 2], attrs: { strides: [3, 3], padding: "valid" } },
    dilated: { kernel: [3, 2], attrs: { dilations: [2, 1] } },
    global: { kernel: [7, 6], attrs: { padding: "valid" } },
  };

  it.each(Object.entries(layers))("%s", async (_, { kernel, attrs }) => {
    const [channels, side] = [32, [7, 6]];
    const shapes = { x: [2, ...side, channels], k: [...kernel, 1, channels] };
    const [x, k] = [g.input("x", shapes.x), g.parameter("k", shapes.k)];
    const y = g.conv2d(x, k, { ...attrs, groups: channels });
    const loss = g.reduceSum(g.mul(y, g.constant(noise(y.shape.map(Number)))));
    const [dx, dk] = gradient(loss, [x, k]);
    const outputs = { y, dx: dx!, dk: dk! };
    const inputs = new Map([["x", noise(shapes.x)]]);
    const parameters = new Map<string, Tensor>([["k", noise(shapes.k)]]);
    const store = new ParameterStore();
    const model = lower({ outputs }, { blockedOps: true });
    await using session = await Session.open(model, store, { blockedLayouts: false });
    store.load(parameters);
    const actual = await session.run(inputs);
    const expected = evaluate(Object.values(outputs), { inputs, parameters });
    Object.keys(outputs).forEach((name, i) => {
      expect(floats(actual.get(name)!), name).toBeAllClose(floats(expected[i]!), { absolute: 1e-4 });
    });
    expect(
      parseOnnx(model.bytes, "blocks").operations.get("com.microsoft.nchwc.ReorderInput"),
    ).toBeGreaterThan(0);
  });
});

describe("a training step", () => {
  const weights: Record<string, number[]> = {
    "conv/kernel": [3, 3, 2, 4],
    "conv/bias": [4],
    "norm/scale": [4],
    "norm/shift": [4],
    "prelu/slope": [4],
    "dense/kernel": [3 * 3 * 4, 2],
  };

  /** Convolution, batch normalisation, PReLU, pooling, dense, softmax: the mean loss, and a step down its slope. */
  function program(): { loss: Node; updates: Map<string, Node> } {
    const leaves = new Map(Object.entries(weights).map(([name, shape]) => [name, g.parameter(name, shape)]));
    const p = (name: string) => leaves.get(name)!;
    const conv = g.relu(g.add(g.conv2d(g.input("x", [3, 6, 6, 2]), p("conv/kernel")), p("conv/bias")));
    const { mean, variance } = g.channelMoments(conv);
    const scale = g.div(p("norm/scale"), g.sqrt(g.add(variance, 1e-3)));
    const normal = g.affine(conv, scale, g.sub(p("norm/shift"), g.mul(mean, scale)));
    const active = g.prelu(normal, p("prelu/slope"));
    const logits = g.matmul(g.flatten(g.maxPool(active, { size: [2, 2] })), p("dense/kernel"));
    const loss = g.neg(g.reduceMean(g.log(g.softmax(logits))));
    const derivatives = gradient(loss, [...leaves.values()]);
    const stepped = [...leaves].map(([name, weight], i): [string, Node] => [
      name,
      g.sub(weight, g.mul(derivatives[i]!, 0.1)),
    ]);
    return { loss, updates: new Map(stepped) };
  }

  it("gives the same weights as its evaluation, step by step", async () => {
    const { loss, updates } = program();
    let parameters = new Map(Object.entries(weights).map(([name, shape]) => [name, noise(shape) as Tensor]));
    const store = new ParameterStore();
    await using session = await Session.open(lower({ outputs: { loss }, updates }), store);
    store.load(parameters);
    for (let step = 0; step < 3; step++) {
      const inputs = new Map([["x", noise([3, 6, 6, 2])]]);
      const [expected, ...next] = evaluate([loss, ...updates.values()], { inputs, parameters });
      parameters = new Map([...updates.keys()].map((name, i) => [name, next[i]!]));
      const actual = (await session.run(inputs)).get("loss")!;
      expect(floats(actual)).toBeAllClose(floats(expected!), { absolute: 1e-5 });
      for (const [name, value] of parameters) {
        expect(floats(store.read([name]).get(name)!), name).toBeAllClose(floats(value), { absolute: 1e-4 });
      }
    }
  });
});

it("takes inputs and random streams that are declared more than once", async () => {
  const x = () => g.input("x", [4]);
  const draw = () => g.randomUniform("noise", [4]);
  const model = lower({ outputs: { twice: g.add(x(), x()), same: g.sub(draw(), draw()) } });
  await using session = await Session.open(model);
  const results = await session.run(new Map([["x", float32([4], [1, 2, 3, 4])]]), { random });
  expect([...floats(results.get("twice")!)]).toEqual([2, 4, 6, 8]);
  expect([...floats(results.get("same")!)]).toEqual([0, 0, 0, 0]);
});

it("moves whole numbers as it moves floats", async () => {
  const x = g.input("x", [2, 2], "int64");
  const y = g.concat([g.pad(x, [1, 0], [0, 0], 7), g.slice(x, [0, 1], [2, -3], [1, -1])], 0);
  await using session = await Session.open(lower({ outputs: { y } }));
  const results = await session.run(new Map([["x", int64([2, 2], [1, 2, 3, 4])]]));
  expect(results.get("y")).toEqual(int64([5, 2], [7, 7, 1, 2, 3, 4, 2, 1, 4, 3]));
});

it("refuses a frozen value of another shape", () => {
  const y = g.mul(g.input("x", [2]), g.parameter("w", [2]));
  expect(() => lower({ outputs: { y } }, { frozen: new Map([["w", noise([3])]]) })).toThrow(
    "parameter w takes float32[2], its value is float32[3]",
  );
});

it("uses standard operators only where others shall run the model", () => {
  const [a, b] = [g.input("a", [2, 3, 4]), g.input("b", [2, 5, 4])];
  const y = g.matmul(a, b, { transposeB: true });
  expect(operators({ outputs: { y } })).toEqual(["FusedMatMul"]);
  expect(operators({ outputs: { y } }, { runtimeOps: false })).toEqual(["Transpose", "MatMul"]);
});

describe("repeated rows and columns", () => {
  const conv = g.conv2d(g.input("x", [2, 4, 3, 3]), g.constant(noise([1, 1, 3, 4])));
  const inputs = new Map([["x", noise([2, 4, 3, 3])]]);
  const gathered = (x: Node, axis: number, places: readonly number[]) =>
    g.gather(x, g.constant(int64([places.length], places)), axis);
  const rows = gathered(conv, 1, [0, 0, 1, 1, 2, 2, 3, 3]);

  it("are one larger image", async () => {
    const y = gathered(rows, 2, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    expect(operators({ outputs: { y } })).toEqual(["Transpose", "Conv", "Resize", "Transpose"]);
    await expectEvaluated({ y }, inputs);
    await expectEvaluated({ rows, y }, inputs);
  });

  it("stay a choice of rows where they do not come equally often", async () => {
    const y = gathered(conv, 1, [0, 0, 0, 1, 1, 2, 2, 3]);
    expect(operators({ outputs: { y } })).toEqual(["Transpose", "Conv", "Gather", "Transpose"]);
    await expectEvaluated({ y }, inputs);
  });
});

describe("a loop", () => {
  /** Doubles a vector while its round is less than a limit. */
  const doubling = (mostRounds: number) => {
    const [round, state] = [g.input("round", [], "int64"), g.input("state", ["n"])];
    const results = loop({
      states: [
        { state: round, first: g.scalar(0, "int64") },
        { state, first: g.input("x", ["n"]) },
      ],
      condition: g.less(round, g.input("limit", [], "int64")),
      next: [g.add(round, g.scalar(1, "int64")), g.mul(state, g.scalar(2))],
      items: [state],
      rounds: "?",
      mostRounds,
    });
    return { last: results.states[1]!, all: results.items[0]! };
  };
  const inputs = (limit: number) =>
    new Map<string, Tensor>([
      ["x", float32([2], [1, 3])],
      ["limit", int64([], [limit])],
    ]);

  it("runs as often as its condition holds, and is one operator for all outputs", async () => {
    const outputs = doubling(5);
    expect(operators({ outputs }).filter((op) => op === "Loop")).toHaveLength(1);
    for (const limit of [1, 5]) await expectEvaluated(outputs, inputs(limit));
    await using session = await Session.open(lower({ outputs }));
    const none = await session.run(inputs(0));
    expect(none.get("all")!.shape[0]).toBe(0);
    expect([...floats(none.get("last")!)]).toEqual([1, 3]);
  });

  it("is refused where a value grows from round to round without end", async () => {
    const [round, state] = [g.input("round", [], "int64"), g.input("state", ["?"])];
    const results = loop({
      states: [
        { state: round, first: g.scalar(0, "int64") },
        { state, first: g.input("x", ["n"]) },
      ],
      condition: g.less(round, g.input("limit", [], "int64")),
      next: [g.add(round, g.scalar(1, "int64")), g.concat([state, state], 0)],
      items: [],
      rounds: "?",
      mostRounds: 2 ** 20,
    });
    const outputs = { last: results.states[1]! };
    await expectEvaluated(outputs, inputs(5));
    await using session = await Session.open(lower({ outputs }));
    await expect(session.run(inputs(60))).rejects.toThrow("out of data bounds");
  });

  it("is refused where its items are too many together, and nothing says how many rounds there are", async () => {
    const [round, state] = [g.input("round", [], "int64"), g.input("state", ["n"])];
    const results = loop({
      states: [
        { state: round, first: g.scalar(0, "int64") },
        { state, first: g.input("x", ["n"]) },
      ],
      condition: g.less(round, g.input("limit", [], "int64")),
      next: [g.add(round, g.scalar(1, "int64")), g.mul(state, g.scalar(0.5))],
      items: [state],
      rounds: "?",
      mostRounds: 2 ** 20,
    });
    await using session = await Session.open(lower({ outputs: { all: results.items[0]! } }));
    const limited = (limit: number) =>
      new Map<string, Tensor>([
        ["x", float32([2 ** 20], new Float32Array(2 ** 20))],
        ["limit", int64([], [limit])],
      ]);
    expect((await session.run(limited(3))).get("all")!.shape).toEqual([3, 2 ** 20]);
    await expect(session.run(limited(2 ** 19))).rejects.toThrow("out of data bounds");
  });

  it("is refused where it takes more rounds than it may", async () => {
    await using session = await Session.open(lower({ outputs: doubling(5) }));
    await expect(session.run(inputs(6))).rejects.toThrow("out of data bounds");
  });
});
