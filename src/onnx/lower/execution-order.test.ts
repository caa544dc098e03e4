/** @file Operators in the order for the least memory stay a valid model, and a run of them holds less. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { expectLikeEvaluation, noiseFrom } from "../../../test/support/like-evaluation.ts";
import { Random } from "../../base/random.ts";
import { float32, type Tensor } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { gradient } from "../../graph/gradient.ts";
import type { Node } from "../../graph/ops.ts";
import { ModelProtoSchema, type NodeProto, NodeProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { ParameterStore } from "../runtime/parameter-store.ts";
import { Session } from "../runtime/session.ts";
import { hasBlockedOps } from "./blocked/support.ts";
import { savingMemory } from "./execution-order.ts";
import { lower } from "./lower.ts";

const BATCH = 2;
const SIDE = 32;
const CHANNELS = 16;
const LAYERS = 6;

const noise = noiseFrom(new Random(5));

/** A loss of layers of convolution and relu, a pool after the first, and its derivatives by all kernels. */
function derivatives(): { outputs: Record<string, Node>; parameters: Map<string, Tensor> } {
  const kernels = Array.from({ length: LAYERS }, (_, i) =>
    g.parameter(`k${i}`, [3, 3, i === 0 ? 3 : CHANNELS, CHANNELS]),
  );
  let x: Node = g.input("x", [BATCH, SIDE, SIDE, 3]);
  for (const [i, kernel] of kernels.entries()) {
    x = g.relu(g.conv2d(x, kernel));
    if (i === 0) x = g.maxPool(x, { size: [2, 2] });
  }
  const loss = g.reduceSum(g.square(x));
  const outputs = Object.fromEntries(gradient(loss, kernels).map((node, i) => [`dk${i}`, node]));
  // Values of one size from layer to layer.
  const small = ({ shape, data }: Tensor<"float32">) =>
    float32(
      shape,
      data.map((value) => value / 8),
    );
  const parameters = new Map(kernels.map(({ shape }, i) => [`k${i}`, small(noise(shape.map(Number)))]));
  return { outputs: { loss, ...outputs }, parameters };
}

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly args: { readonly output_type_shape: readonly Record<string, readonly number[]>[] };
}

const SIZES: Readonly<Record<string, number>> = { float: 4, bool: 1, int64: 8 };

/** Bytes of a value as the profile describes it: its type and sides. */
const bytesOf = (value: Record<string, readonly number[]> | undefined) =>
  Object.entries(value ?? {}).reduce(
    (sum, [type, sides]) => sum + sides.reduce((a, b) => a * b, SIZES[type]!),
    0,
  );

/** The most bytes that operators' results take at once, each kept from its operator to the last that reads it. */
function mostHeld(nodes: readonly NodeProto[], events: readonly ProfileEvent[]): number {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const run = events.map(({ name, args }) => ({ node: byName.get(name.replace("_kernel_time", "")), args }));
  // A reshaped value is the same memory under another name.
  const names = new Map(
    nodes.filter((node) => node.opType === "Reshape").map((n) => [n.output[0]!, n.input[0]!]),
  );
  const memoryOf = (name: string): string => (names.has(name) ? memoryOf(names.get(name)!) : name);
  const last = new Map(
    run.flatMap(({ node }, i) => node?.input.map((name) => [memoryOf(name), i] as const) ?? []),
  );
  const held = new Map<string, number>();
  let most = 0;
  for (const [i, { node, args }] of run.entries()) {
    for (const [at, name] of node?.output.entries() ?? [])
      if (memoryOf(name) === name) held.set(name, bytesOf(args.output_type_shape[at]));
    most = Math.max(
      most,
      [...held.values()].reduce((sum, bytes) => sum + bytes, 0),
    );
    for (const name of held.keys()) if ((last.get(name) ?? i) <= i) held.delete(name);
  }
  return most;
}

/** Runs the derivatives once, compares them with their evaluation, and returns the most bytes held. */
async function heldByRun(savesMemory: boolean): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "faceid-order-"));
  try {
    const { outputs, parameters } = derivatives();
    const model = lower({ outputs }, { blockedOps: true, savesMemory });
    const store = new ParameterStore();
    const profilePrefix = join(folder, "profile");
    const session = await Session.open(model, store, { blockedLayouts: false, profilePrefix });
    store.load(parameters);
    const inputs = new Map([["x", noise([BATCH, SIDE, SIDE, 3])]]);
    expectLikeEvaluation(await session.run(inputs), outputs, { inputs, parameters });
    await session.close();
    const [file] = await readdir(folder);
    const events = JSON.parse(await readFile(join(folder, file!), "utf8")) as ProfileEvent[];
    const ran = events.filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
    return mostHeld(fromBinary(ModelProtoSchema, model.bytes).graph!.node, ran);
  } finally {
    await rm(folder, { recursive: true });
  }
}

it.runIf(await hasBlockedOps())("holds less in a run of the same results", async () => {
  const [before, after] = [await heldByRun(false), await heldByRun(true)];
  expect(after).toBeLessThan(0.75 * before);
});

const operator = (name: string, input: string[]) =>
  create(NodeProtoSchema, { name, opType: "Add", input, output: [name] });

it("puts each operator behind those it needs, those of graphs within it included", () => {
  const inner = create(NodeProtoSchema, {
    name: "loop",
    opType: "Loop",
    input: ["a"],
    output: ["loop"],
    attribute: [{ name: "body", g: { node: [operator("within", ["b", "a"])] } }],
  });
  const nodes = [
    operator("a", ["x"]),
    operator("b", ["a", "x"]),
    operator("c", ["x", "x"]),
    inner,
    operator("sum", ["loop", "c"]),
    operator("other", ["b", "c"]),
  ];
  const order = savingMemory(nodes).map(({ name }) => name);
  expect(order.toSorted()).toEqual(nodes.map(({ name }) => name).toSorted());
  for (const [name, needs] of [
    ["loop", "b"],
    ["sum", "loop"],
    ["other", "c"],
  ] as const)
    expect(order.indexOf(name)).toBeGreaterThan(order.indexOf(needs));
});

it("puts ends that can be computed early behind the others, where the runtime begins", () => {
  const chain = [operator("a", ["x"]), operator("b", ["a"]), operator("c", ["b"])];
  const ends = ["c", "a", "b"].map((name) => operator(`end of ${name}`, [name]));
  const others = [operator("other end of c", ["c"])];
  const order = savingMemory([...chain, ...ends, ...others]).map(({ name }) => name);
  expect(order.filter((name) => name.startsWith("end"))).toEqual(["end of c", "end of b", "end of a"]);
});
