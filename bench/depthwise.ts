/** @file Depthwise convolutions with kernels as inputs, with and without the runtime's blocked operators: `npm run bench -- depthwise` */
import { Random } from "../src/base/random.ts";
import { float32, type Shape, sizeOf } from "../src/base/tensor.ts";
import * as g from "../src/graph/build.ts";
import { gradient } from "../src/graph/gradient.ts";
import type { Node } from "../src/graph/ops.ts";
import { lower } from "../src/onnx/lower/lower.ts";
import { ParameterStore } from "../src/onnx/runtime/parameter-store.ts";
import { Session } from "../src/onnx/runtime/session.ts";

const IMAGES = 8;
const WARM_UP = 2;
const RUNS = 9;
const random = new Random(1);
const noise = (shape: Shape) =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );

/** Median milliseconds of processor time of one run. */
async function time(y: Node, shapes: { x: number[]; k: number[]; dy: number[] }, blockedOps: boolean) {
  const store = new ParameterStore();
  const model = lower({ outputs: { y } }, { blockedOps });
  await using session = await Session.open(model, store, { blockedLayouts: false });
  store.load(new Map([["k", noise(shapes.k)]]));
  const inputs = new Map([
    ["x", noise(shapes.x)],
    ["dy", noise(shapes.dy)],
  ]);
  const fed = new Map([...inputs].filter(([name]) => model.inputs.some((port) => port.name === name)));
  const times: number[] = [];
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const used = process.cpuUsage();
    await session.run(fed);
    const { user, system } = process.cpuUsage(used);
    if (run >= WARM_UP) times.push((user + system) / 1000);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)]!;
}

console.log(`3×3 depthwise, ${IMAGES} images, one thread, median ms CPU of ${RUNS} runs\n`);
for (const [channels, side] of [
  [128, 56],
  [128, 28],
  [256, 14],
] as const) {
  const shapes = {
    x: [IMAGES, side, side, channels],
    k: [3, 3, 1, channels],
    dy: [IMAGES, side, side, channels],
  };
  const [x, k, dy] = [g.input("x", shapes.x), g.parameter("k", shapes.k), g.input("dy", shapes.dy)];
  const y = g.conv2d(x, k, { groups: channels });
  const [dx, dk] = gradient(g.reduceSum(g.mul(y, dy)), [x, k]) as [Node, Node];
  for (const [name, node] of Object.entries({ forward: y, "by the input": dx, "by the kernel": dk })) {
    const [plain, blocked] = [await time(node, shapes, false), await time(node, shapes, true)];
    console.log(
      `${channels} channels, ${side}×${side}  ${name.padEnd(14)} plain ${plain.toFixed(2).padStart(6)}  blocked ${blocked.toFixed(2).padStart(6)}`,
    );
  }
}
