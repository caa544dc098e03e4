/** @file Time and memory to load a SavedModel of 100 MB and convert it to ONNX: `npm run bench -- loading` */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Random } from "../src/base/random.ts";
import { float32, type Tensor } from "../src/base/tensor.ts";
import * as g from "../src/graph/build.ts";
import type { Node } from "../src/graph/ops.ts";
import { lower } from "../src/onnx/lower/lower.ts";
import { NodeDefSchema, SavedModelSchema } from "../src/proto/tensorflow/graph_pb.ts";
import { DataType } from "../src/proto/tensorflow/tensor_pb.ts";
import { tensorFromProto } from "../src/savedmodel/format/tensor-proto.ts";
import { readSavedModel } from "../src/savedmodel/read/read.ts";
import { writeSavedModel } from "../src/savedmodel/write/write.ts";
import { writeBundle } from "../test/support/write-bundle.ts";
import { memoryMegabytes } from "./process-usage.ts";

const RUNS = 3;
const BLOCKS = 11;
const CHANNELS = 512;
const MEGABYTE = 1e6;
const SMALLEST_VARIABLE = 4;

/** A residual network with 11 blocks of one 3×3 kernel of 512 channels each: 26 million weights, 104 MB. */
function network(): { x: Node; y: Node; parameters: Map<string, Tensor> } {
  const random = new Random(1);
  const parameters = new Map<string, Tensor>();
  const weight = (name: string, ...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    parameters.set(
      name,
      float32(
        shape,
        Float32Array.from({ length: size }, () => random.between(-0.05, 0.05)),
      ),
    );
    return g.parameter(name, shape);
  };
  const x = g.input("image", ["batch", 8, 8, CHANNELS]);
  let y: Node = x;
  for (let block = 0; block < BLOCKS; block++) {
    const convolved = g.conv2d(y, weight(`conv${block}/kernel`, 3, 3, CHANNELS, CHANNELS));
    const scaled = g.affine(
      convolved,
      weight(`norm${block}/scale`, CHANNELS),
      weight(`norm${block}/shift`, CHANNELS),
    );
    y = g.add(y, g.relu(scaled));
  }
  return { x, y: g.matmul(g.reduceMean(y, { axes: [1, 2] }), weight("dense", CHANNELS, 128)), parameters };
}

async function writeFrozen(folder: string): Promise<void> {
  const { x, y, parameters } = network();
  const signatures = { serving_default: { inputs: { image: x }, outputs: { embedding: y } } };
  await writeSavedModel(folder, { signatures, parameters });
}

/** The same graph with its constants as variables in a bundle beside it. */
async function moveToVariables(folder: string): Promise<void> {
  const path = join(folder, "saved_model.pb");
  const model = fromBinary(SavedModelSchema, await readFile(path));
  const graph = model.metaGraphs[0]!.graphDef!;
  const values = new Map<string, Tensor>();
  for (const node of [...graph.node]) {
    const value = node.attr.value?.value;
    if (node.op !== "Const" || value?.case !== "tensor") continue;
    const tensor = tensorFromProto(value.value);
    if (tensor.dtype !== "float32" || tensor.data.length < SMALLEST_VARIABLE) continue;
    const handle = `${node.name}/handle`;
    values.set(handle, tensor);
    const dtype = { value: { case: "type" as const, value: DataType.DT_FLOAT } };
    const shared = { value: { case: "s" as const, value: new TextEncoder().encode(handle) } };
    graph.node.push(
      create(NodeDefSchema, { name: handle, op: "VarHandleOp", attr: { dtype, shared_name: shared } }),
    );
    node.op = "ReadVariableOp";
    node.input = [handle];
    node.attr = {};
  }
  await writeBundle(join(folder, "variables/variables"), values);
  await writeFile(path, toBinary(SavedModelSchema, model));
}

/** Measured in a process of its own. */
interface Measured {
  readonly seconds: number;
  /** Above the memory of the process before it began. */
  readonly peakBytes: number;
  readonly onnxBytes: number;
}

async function measure(folder: string): Promise<Measured> {
  const before = memoryMegabytes(process.pid, "VmRSS");
  const started = performance.now();
  const { outputs } = await (await readSavedModel(folder)).program("serving_default");
  const { bytes } = lower({ outputs }, { runtimeOps: false });
  const seconds = (performance.now() - started) / 1000;
  // Not getrusage's maximum: a process inherits it from its parent.
  const peakBytes = (memoryMegabytes(process.pid, "VmHWM") - before) * 2 ** 20;
  return { seconds, peakBytes, onnxBytes: bytes.length };
}

const self = fileURLToPath(import.meta.url);

async function measureApart(folder: string): Promise<Measured> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import",
    "tsx",
    self,
    "measure",
    folder,
  ]);
  return JSON.parse(stdout) as Measured;
}

async function sizeOf(folder: string): Promise<number> {
  const files = ["saved_model.pb", "variables/variables.data-00000-of-00001"].map((name) =>
    join(folder, name),
  );
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function report(title: string, folder: string): Promise<void> {
  const runs: Measured[] = [];
  for (let run = 0; run < RUNS; run++) runs.push(await measureApart(folder));
  const middle = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
  const size = await sizeOf(folder);
  const [seconds, peak] = [middle(runs.map((run) => run.seconds)), middle(runs.map((run) => run.peakBytes))];
  console.log(
    `${title}: ${(size / MEGABYTE).toFixed(0)} MB loaded and converted in ${seconds.toFixed(2)} s, ` +
      `${(peak / MEGABYTE).toFixed(0)} MB of memory, ${(peak / size).toFixed(1)} times its size`,
  );
}

if (process.argv[2] === "measure") {
  console.log(JSON.stringify(await measure(process.argv[3]!)));
} else {
  const work = await mkdtemp(join(tmpdir(), "faceid-bench-"));
  const [frozen, variables] = [join(work, "frozen/1"), join(work, "variables/1")];
  try {
    await writeFrozen(frozen);
    await report("SavedModel with constants", frozen);
    await writeFrozen(variables);
    await moveToVariables(variables);
    await report("SavedModel with variables", variables);
  } finally {
    await rm(work, { recursive: true });
  }
}
