/** @file Memory and latency of the server under constant load, as CSV and SVG: `npm run bench -- soak --minutes 10 --output bench/results` */
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { writeFaceModel } from "../test/support/face-model.ts";
import { serve } from "../test/support/server-process.ts";
import { cpuSeconds, memoryMegabytes } from "./process-usage.ts";
import { quantile } from "./serving/load.ts";
import { MODEL, makeRequests, SIDE } from "./serving/requests.ts";
import { type SoakSample, soakChart } from "./serving/soak-chart.ts";
import { type Subject, serverSubjects } from "./serving/subjects.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    output: { type: "string", default: "." },
  },
});
const MINUTES = Number(values.minutes);
const SAMPLES = 60;
/** Pause between a client's answer and its next request. */
const PAUSE_MS = 20;
/** Versions published over the run; each replaces the one before it. */
const VERSIONS = 5;
/** Interval at which a client disconnects in the middle of a request. */
const HANG_UP_EVERY_MS = 500;
const CLIENTS_EACH = 2;

const folder = await mkdtemp(join(tmpdir(), "faceid-soak-"));
const ended = new AbortController();
const { signal } = ended;
const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);
let latencies: number[] = [];
let failed = 0;

async function client(subject: Subject): Promise<void> {
  using connection = await subject.client();
  while (!signal.aborted) {
    const startedMs = performance.now();
    await connection.ask().then(
      () => latencies.push(performance.now() - startedMs),
      (error: unknown) => {
        failed++;
        console.error(String(error));
      },
    );
    await pause(PAUSE_MS);
  }
}

async function hangUp(port: number, request: Buffer): Promise<void> {
  while (!signal.aborted) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(request.subarray(0, Math.ceil(request.length * Math.random())));
    await pause(HANG_UP_EVERY_MS);
    socket.destroy();
  }
}

async function publish(): Promise<void> {
  for (let version = 2; version <= VERSIONS && !signal.aborted; version++) {
    await pause((MINUTES * 60_000) / VERSIONS);
    const staged = join(folder, "staged");
    await cp(join(folder, "faceid/1"), staged, { recursive: true });
    await rename(staged, join(folder, "faceid", String(version)));
  }
}

try {
  await writeFaceModel(join(folder, "faceid/1"), { network: "faceid", side: SIDE });
  const requests = await makeRequests();
  await using server = await serve([
    `--model_name=${MODEL}`,
    `--model_base_path=${join(folder, "faceid")}`,
    "--rest_api_binary",
  ]);
  const subjects = serverSubjects(server, requests);
  const running = [
    ...subjects.flatMap((subject) => Array.from({ length: CLIENTS_EACH }, () => client(subject))),
    hangUp(server.restPort, requests.json),
    publish(),
  ];
  const samples: SoakSample[] = [];
  const startedMs = performance.now();
  for (let i = 1; i <= SAMPLES; i++) {
    await delay(startedMs + (MINUTES * 60_000 * i) / SAMPLES - performance.now());
    const sorted = latencies.sort((a, b) => a - b);
    samples.push({
      minutes: (performance.now() - startedMs) / 60_000,
      megabytes: memoryMegabytes(server.pid, "VmRSS"),
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      answered: sorted.length,
      failed,
    });
    latencies = [];
  }
  ended.abort();
  await Promise.all(running);
  const header = "minutes,megabytes,p50_ms,p99_ms,answered,failed_so_far";
  const lines = samples.map((sample) =>
    [sample.minutes, sample.megabytes, sample.p50Ms, sample.p99Ms, sample.answered, sample.failed]
      .map((value) => +value.toFixed(2))
      .join(","),
  );
  await mkdir(values.output, { recursive: true });
  await writeFile(join(values.output, "soak.csv"), `${[header, ...lines].join("\n")}\n`);
  await writeFile(join(values.output, "soak.svg"), soakChart(samples));
  const answered = samples.reduce((sum, sample) => sum + sample.answered, 0);
  const quarter = samples.slice(0, SAMPLES / 4).map(({ megabytes }) => megabytes);
  const last = samples.slice(-SAMPLES / 4).map(({ megabytes }) => megabytes);
  console.log(
    `${MINUTES} minutes, ${subjects.length * CLIENTS_EACH} clients: ${answered} answers, ${failed} failures`,
  );
  console.log(
    `memory: ${Math.max(...quarter).toFixed(0)} MB at most in the first quarter, ` +
      `${Math.max(...last).toFixed(0)} MB in the last, ${memoryMegabytes(server.pid, "VmHWM").toFixed(0)} MB ever`,
  );
  console.log(`processor: ${cpuSeconds(server.pid).toFixed(0)} s`);
} finally {
  ended.abort();
  await rm(folder, { recursive: true, force: true });
}
