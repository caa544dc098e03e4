/**
 * @file Latencies of the server with and without the session that gives a lone request all cores, in alternating turns:
 * `npm run bench -- latency [--network faceid] [--clients 1,2,4,8,16,32,64] [--rounds N] [--seconds N] [--int8]`
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { float32 } from "../src/base/tensor.ts";
import { siamese } from "../src/model/siamese.ts";
import { initialWeights } from "../src/nn/network-builder.ts";
import { lower } from "../src/onnx/lower/lower.ts";
import { measureRanges } from "../src/onnx/quantize/calibrate.ts";
import { quantize, valuesToMeasure } from "../src/onnx/quantize/quantize.ts";
import { type ServerProcess, serve } from "../test/support/server-process.ts";
import { cpuSeconds, memoryMegabytes } from "./process-usage.ts";
import { grpcClient } from "./serving/grpc-client.ts";
import { closedLoop, median, quantile } from "./serving/load.ts";
import { MODEL, makeRequests, SIDE } from "./serving/requests.ts";

const { values } = parseArgs({
  options: {
    network: { type: "string", default: "faceid" },
    clients: { type: "string", default: "1,2,4,8,16,32,64" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    int8: { type: "boolean", default: false },
  },
});
const WARM_UP_SECONDS = 0.5;
const SIDES = [
  { name: "one thread", flags: ["--alone_threads=1"] },
  { name: "all cores", flags: [] },
] as const;

/** The network with its first weights, as `faceid export` or `faceid quantize` writes it for the server. */
async function writeModel(folder: string, floats: readonly Float32Array[]): Promise<void> {
  const model = { network: values.network, input: { height: SIDE, width: SIDE } };
  const { classifier } = siamese(model, { mode: "inference", batch: "batch" });
  const { net } = siamese(model, { mode: "training", batch: 1 });
  const frozen = initialWeights(net.weights, new Random(1));
  const { bytes, inputs } = lower({ outputs: { classifier } }, { frozen });
  const image = (i: number) => float32([1, SIDE, SIDE, 3], floats[i]!);
  const images = new Map(inputs.map(({ name }, i) => [name, image(i)]));
  const written = values.int8
    ? quantize(bytes, await measureRanges(bytes, valuesToMeasure(bytes), [images])).bytes
    : bytes;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.onnx"), written);
}

interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuMs: number;
}

const cell = (value: number, digits: number, width: number) => value.toFixed(digits).padStart(width);

const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  const requests = await makeRequests();
  await writeModel(join(folder, "1"), requests.floats);
  const flags = [`--model_name=${MODEL}`, `--model_base_path=${folder}`];
  const servers: { readonly name: string; readonly server: ServerProcess }[] = [];
  for (const side of SIDES) servers.push({ name: side.name, server: await serve([...flags, ...side.flags]) });
  const ask = async (server: ServerProcess, count: number): Promise<Measured> => {
    const clients = await Promise.all(
      Array.from({ length: count }, () => grpcClient(server.grpcPort, requests.grpc)),
    );
    try {
      await closedLoop(clients, WARM_UP_SECONDS);
      const before = cpuSeconds(server.pid);
      const { answered, failed, seconds, latencies } = await closedLoop(clients, Number(values.seconds));
      if (failed > 0) throw new Error(`${failed} requests failed`);
      const used = cpuSeconds(server.pid) - before;
      return {
        perSecond: answered / seconds,
        p50: quantile(latencies, 0.5),
        p99: quantile(latencies, 0.99),
        cpuMs: (1000 * used) / answered,
      };
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  };
  console.log(
    `${values.network}${values.int8 ? " in 8-bit integers" : ""}, pairs as float tensors over gRPC, ${availableParallelism()} cores shared by clients and ` +
      `server, median of ${values.rounds} rounds by turns\n`,
  );
  const head = "  pairs/s  p50 ms  p99 ms  ms CPU";
  console.log(`${"".padEnd(8)}${SIDES.map(({ name }) => `| ${name.padEnd(head.length)}`).join("")}`);
  console.log(`${"clients".padEnd(8)}${SIDES.map(() => `| ${head}`).join("")}`);
  for (const clients of values.clients.split(",").map(Number)) {
    const rounds: Measured[][] = servers.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, { server }] of servers.entries()) rounds[i]!.push(await ask(server, clients));
    }
    const cells = rounds.map((each) => {
      const over = (what: keyof Measured) => median(each.map((one) => one[what]));
      return `| ${cell(over("perSecond"), 1, 9)}${cell(over("p50"), 1, 8)}${cell(over("p99"), 1, 8)}${cell(over("cpuMs"), 1, 8)}`;
    });
    console.log(String(clients).padEnd(8) + cells.join(""));
  }
  for (const { name, server } of servers) {
    console.log(`memory, ${name}: ${memoryMegabytes(server.pid, "VmHWM").toFixed(0)} MB at most`);
    await server.stop();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
