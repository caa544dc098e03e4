/** @file The requests that once hurt the server, at a server in the memory limit of deploy/: `npm run bench -- siege` */
import { execFile, spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { DataType } from "../src/proto/tensorflow/tensor_pb.ts";
import {
  askGrpc,
  askRest,
  contentOf,
  examplesOf,
  GZIP,
  illegalFrame,
  manyStrings,
  packedList,
  predictOf,
  spaces,
} from "../test/support/attacks.ts";
import { writeHalfPlusTwo } from "../test/support/saved-models.ts";
import { type ServerProcess, serve } from "../test/support/server-process.ts";
import { memoryMegabytes } from "./process-usage.ts";

/** The limit of deploy/kubernetes/deployment.yaml. */
const LIMIT_BYTES = 2 ** 31;
const PATH = "/v1/models/half:predict";
/** Time for others to begin. */
const START_MS = 1500;
/** Time after an attack for what it left to be freed. */
const REST_MS = 1500;

const times = (count: number, act: () => Promise<unknown>) => Promise.all(Array.from({ length: count }, act));

const PREDICT = "PredictionService/Predict";

type Act = (server: ServerProcess) => Promise<unknown>;

/** Posts a body, several times at once. */
const rest =
  (body: Uint8Array, count = 1, headers = {}): Act =>
  ({ restPort }) =>
    times(count, () => askRest(restPort, PATH, body, headers));

/** Sends a message over gRPC, several times at once. */
const plain =
  (method: string, message: Uint8Array, count = 1): Act =>
  ({ grpcPort }) =>
    times(count, () => askGrpc(grpcPort, method, message));

/** Sends a compressed message over gRPC. */
function packed(method: string, message: Uint8Array): Act {
  const content = gzipSync(message, { level: 9 });
  return ({ grpcPort }) => askGrpc(grpcPort, method, content, { isGzip: true });
}

/** What is done to the server; the answers, refusals among them, do not matter. */
const ATTACKS: readonly (readonly [name: string, prepare: () => Act])[] = [
  ["nothing", () => () => delay(2000)],
  [
    "gzip over gRPC: bool_val of 113 million",
    () => packed(PREDICT, predictOf("x", packedList(DataType.DT_BOOL, 11, 113_000_000))),
  ],
  [
    "gzip over gRPC: int64_val of 120 million",
    () => packed(PREDICT, predictOf("half", packedList(DataType.DT_INT64, 10, 120_000_000))),
  ],
  [
    "gzip over gRPC: 1 GB of tensor_content",
    () => packed(PREDICT, predictOf("half", contentOf(DataType.DT_FLOAT, [250_000_000, 1], 1_000_000_000))),
  ],
  [
    "gRPC: 12.5 million int64 in a list",
    () => plain(PREDICT, predictOf("half", packedList(DataType.DT_INT64, 10, 12_500_000))),
  ],
  [
    "gRPC: 50 MB there and back",
    () => plain(PREDICT, predictOf("half", contentOf(DataType.DT_FLOAT, [12_500_000, 1], 50_000_000))),
  ],
  [
    "gRPC: Regress with 300,000 examples",
    () => plain("PredictionService/Regress", examplesOf("half", "regress_x_to_y", 300_000)),
  ],
  ["REST: 40 bodies of gzip, 100 MB of spaces each", () => rest(spaces(100), 40, GZIP)],
  ["REST: gzip of 3.9 million strings, four times", () => rest(manyStrings(3_900_000), 4, GZIP)],
  ["REST: gzip of 300,000 strings as examples", () => rest(manyStrings(300_000), 1, GZIP)],
  ["REST: 50 million lists, one in another", () => rest(Buffer.alloc(50_000_000, "["))],
  [
    "REST: 50 million numbers",
    () => rest(Buffer.concat([Buffer.from('{"instances":[1'), Buffer.alloc(100_000_000, ",1")])),
  ],
  [
    "gRPC: 30 model names of 20 MB",
    () => plain(PREDICT, predictOf("n".repeat(20_000_000), Buffer.alloc(0)), 30),
  ],
  [
    "gRPC: 300 connections with an illegal frame",
    () =>
      ({ grpcPort }) =>
        times(300, () => illegalFrame(grpcPort)),
  ],
];

interface Row {
  readonly attack: string;
  readonly "peak MB": number;
  readonly "after MB": number;
  readonly "longest health ms": number;
  readonly "others asked": number;
  readonly "others lost": number;
  readonly descriptors: number;
}

/** What others see, who ask from a process of their own. */
interface Seen {
  readonly longestMs: number;
  readonly asked: number;
  readonly lost: number;
}

/** Others begin to ask. @returns a function that ends it. */
function others({ restPort, grpcPort }: ServerProcess): () => Promise<Seen> {
  const program = join(import.meta.dirname, "siege/others.ts");
  const asking = spawn(process.execPath, ["--import", "tsx", program, String(restPort), String(grpcPort)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const told = textOf(asking.stdout);
  return async () => {
    asking.stdin.end();
    return JSON.parse(await told) as Seen;
  };
}

async function attacked(server: ServerProcess, [attack, prepare]: (typeof ATTACKS)[number]): Promise<Row> {
  const act = prepare();
  // From here on the kernel's record of the most memory begins anew.
  writeFileSync(`/proc/${server.pid}/clear_refs`, "5");
  const end = others(server);
  await delay(START_MS);
  await act(server).catch(() => undefined);
  await delay(REST_MS);
  const { longestMs, asked, lost } = await end();
  return {
    attack,
    "peak MB": Math.round(memoryMegabytes(server.pid, "VmHWM")),
    "after MB": Math.round(memoryMegabytes(server.pid, "VmRSS")),
    "longest health ms": Math.round(longestMs),
    "others asked": asked,
    "others lost": lost,
    descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
  };
}

/** Thirty versions of the shipped model, one after the other: the most memory, and what is left in the end. */
async function swaps(folder: string, count: number): Promise<void> {
  await cp(SHIPPED_VERSION, join(folder, "lfw/1"), { recursive: true });
  await using server = await serve(["--model_name=lfw", `--model_base_path=${join(folder, "lfw")}`]);
  const memory: number[] = [memoryMegabytes(server.pid, "VmRSS")];
  for (let version = 2; version <= count + 1; version++) {
    await cp(SHIPPED_VERSION, join(folder, "staged"), { recursive: true });
    await rename(join(folder, "staged"), join(folder, "lfw", String(version)));
    await server.until(`Done unloading servable version {name: lfw version: ${version - 1}}`);
    await rm(join(folder, "lfw", String(version - 1)), { recursive: true });
    memory.push(memoryMegabytes(server.pid, "VmRSS"));
  }
  const told = memory.filter((_, i) => i % 5 === 0).map((each) => each.toFixed(0));
  console.log(`the shipped model, MB after every fifth of ${count} swaps: ${told.join(", ")}`);
  console.log(`  at most ${memoryMegabytes(server.pid, "VmHWM").toFixed(0)} MB`);
}

/** Many tiny models in one server: what each costs beside its weights. */
async function tinyModels(folder: string, count: number): Promise<void> {
  const configs: string[] = [];
  for (let i = 1; i <= count; i++) {
    const base = join(folder, `tiny-${i}`);
    await writeHalfPlusTwo(join(base, "1"));
    configs.push(`config { name: "tiny-${i}" base_path: "${base}" model_platform: "tensorflow" }`);
  }
  const file = join(folder, "models.config");
  for (const shown of [1, count]) {
    writeFileSync(file, `model_config_list { ${configs.slice(0, shown).join("\n")} }`);
    await using server = await serve([`--model_config_file=${file}`]);
    const loaded = memoryMegabytes(server.pid, "VmRSS").toFixed(0);
    for (let i = 1; i <= shown; i++)
      await askRest(server.restPort, `/v1/models/tiny-${i}:predict`, '{"instances": [[2]]}');
    console.log(
      `${shown} tiny models: ${loaded} MB when ready, ${memoryMegabytes(server.pid, "VmRSS").toFixed(0)} MB after a request to each`,
    );
  }
}

const folder = await mkdtemp(join(tmpdir(), "faceid-siege-"));
try {
  const only = process.argv[2];
  if (only !== "swaps" && only !== "tiny") {
    await writeHalfPlusTwo(join(folder, "half/1"));
    await using server = await serve(["--model_name=half", `--model_base_path=${join(folder, "half")}`]);
    await promisify(execFile)("prlimit", ["--pid", String(server.pid), `--data=${LIMIT_BYTES}`]);
    const rows: Row[] = [];
    for (const attack of ATTACKS) {
      if (only !== undefined && !attack[0].includes(only)) continue;
      rows.push(
        await attacked(server, attack).catch((error: unknown) => {
          throw new Error(`the server did not survive "${attack[0]}":\n${server.log}`, { cause: error });
        }),
      );
      console.error(JSON.stringify(rows.at(-1)));
    }
    console.table(rows);
  }
  if (only === undefined || only === "tiny") await tinyModels(folder, 27);
  if (only === undefined || only === "swaps") await swaps(folder, 30);
} finally {
  await rm(folder, { recursive: true, force: true });
}
