/** @file Rates and latencies of the server beside its engine: `npm run bench -- serving` */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { get } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { writeFaceModel } from "../test/support/face-model.ts";
import { type ServerProcess, serve } from "../test/support/server-process.ts";
import { cpuSeconds, memoryMegabytes } from "./process-usage.ts";
import { closedLoop, type LoadResult, median, openLoop, quantile } from "./serving/load.ts";
import { measureParts } from "./serving/parts.ts";
import { MODEL, makeRequests, SIDE } from "./serving/requests.ts";
import { engineSubjects, type Subject, serverSubjects } from "./serving/subjects.ts";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "1,8,32" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
  },
});
const CLIENTS = values.clients.split(",").map(Number);
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const WARM_UP_SECONDS = 1;
const COLD_STARTS = 3;
/** Rate of the open loop as a fraction of the closed loop's. */
const OPEN_LOAD = 0.7;
const HEALTH_EVERY_MS = 50;
/** All clients start at once, which is more than full load; the checks start after that peak. */
const HEALTH_AFTER_MS = 500;

/** One period of load, and what the process used in it. */
interface Measured extends LoadResult {
  /** Processor time for each answer, in milliseconds. */
  readonly cpuMs: number;
  /** Cores that the process kept busy. */
  readonly cores: number;
}

async function measured(
  subject: Subject,
  clientCount: number,
  run: (clients: Awaited<ReturnType<Subject["client"]>>[]) => Promise<LoadResult>,
): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: clientCount }, () => subject.client()));
  try {
    await closedLoop(clients, WARM_UP_SECONDS);
    const before = cpuSeconds(subject.pid);
    const result = await run(clients);
    const used = cpuSeconds(subject.pid) - before;
    return { ...result, cpuMs: (1000 * used) / result.answered, cores: used / result.seconds };
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

/** Milliseconds of health checks, each on its own connection, until the signal. */
async function healthChecks(restPort: number, signal: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  await delay(HEALTH_AFTER_MS);
  while (!signal.aborted) {
    const startedMs = performance.now();
    const [response] = await once(get({ port: restPort, path: "/healthz", agent: false }), "response");
    response.resume();
    await once(response, "end");
    times.push(performance.now() - startedMs);
    await delay(HEALTH_EVERY_MS);
  }
  return times.sort((a, b) => a - b);
}

interface Start {
  readonly ms: number;
  readonly cpuMs: number;
}

/** Time from the command to an open port. */
async function coldStart(flags: readonly string[]): Promise<Start> {
  const startedMs = performance.now();
  const server = await serve(flags);
  const start = { ms: performance.now() - startedMs, cpuMs: 1000 * cpuSeconds(server.pid) };
  await server.stop();
  return start;
}

const rate = ({ answered, seconds }: LoadResult) => answered / seconds;
const over = (results: readonly Measured[], of: (result: Measured) => number) => median(results.map(of));
const cell = (value: number, digits = 0) => value.toFixed(digits);

/** A row of the first table. @param decoding results of the engine on image files, for rows that send files. */
function row(
  name: string,
  clients: number,
  results: readonly Measured[],
  limit: readonly Measured[],
  decoding: readonly Measured[] | undefined,
): string {
  const latency = (share: number) => cell(over(results, ({ latencies }) => quantile(latencies, share)));
  const share = over(results, rate) / over(limit, rate);
  const cpuShare = over(limit, ({ cpuMs }) => cpuMs) / over(results, ({ cpuMs }) => cpuMs);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  return [
    name,
    clients,
    cell(over(results, rate), 1),
    `${cell(100 * share)} %`,
    latency(0.5),
    latency(0.95),
    latency(0.99),
    cell(
      over(results, ({ cores }) => cores),
      2,
    ),
    cell(
      over(results, ({ cpuMs }) => cpuMs),
      1,
    ),
    `${cell(100 * cpuShare)} %`,
    failed,
    decoding === undefined ? "–" : `${cell((100 * over(results, rate)) / over(decoding, rate))} %`,
  ].join(" | ");
}

async function compare(
  subjects: readonly Subject[],
  server: ServerProcess,
): Promise<Map<string, Measured[]>> {
  const results = new Map<string, Measured[]>();
  const health: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const clients of CLIENTS) {
      for (const subject of subjects) {
        const isFull = clients === CLIENTS.at(-1) && subject.pid === server.pid;
        const watch = new AbortController();
        const checks = isFull ? healthChecks(server.restPort, watch.signal) : Promise.resolve([]);
        const result = await measured(subject, clients, (open) => closedLoop(open, SECONDS));
        watch.abort();
        health.push(...(await checks));
        const key = `${subject.name} ${clients}`;
        results.set(key, [...(results.get(key) ?? []), result]);
      }
    }
  }
  health.sort((a, b) => a - b);
  console.log(
    `health checks under ${CLIENTS.at(-1)} clients: median ${cell(quantile(health, 0.5), 1)} ms, ` +
      `p99 ${cell(quantile(health, 0.99), 1)} ms, of ${health.length}`,
  );
  return results;
}

const folder = await mkdtemp(join(tmpdir(), "faceid-bench-"));
try {
  await writeFaceModel(join(folder, "faceid/1"), { network: "faceid", side: SIDE });
  const flags = [`--model_name=${MODEL}`, `--model_base_path=${join(folder, "faceid")}`, "--rest_api_binary"];
  const requests = await makeRequests();
  console.log(`${availableParallelism()} cores, shared by clients and server; median of ${ROUNDS} rounds`);
  const starts: Start[] = [];
  for (let i = 0; i < COLD_STARTS; i++) starts.push(await coldStart(flags));
  console.log(
    `cold start, from the command to an open port: ${cell(median(starts.map(({ ms }) => ms)))} ms, of which ` +
      `${cell(median(starts.map(({ cpuMs }) => cpuMs)))} ms of processor time; median of ${COLD_STARTS}`,
  );
  const parts = await measureParts(requests);
  const listed = parts.map(({ name, cpuMs }) => `${name} ${cell(cpuMs, 1)} ms`).join(", ");
  console.log(`processor time for a pair with no server and no engine: ${listed}`);
  await using server = await serve(flags);
  await using engine = await engineSubjects(join(folder, "faceid/1"), requests);
  const subjects = [engine.floats, engine.files, ...serverSubjects(server, requests)];
  const results = await compare(subjects, server);
  console.log("\nclosed loop: each client asks again as soon as it is answered\n");
  console.log(
    "| way | clients | pairs/s | of the engine | p50 ms | p95 ms | p99 ms | cores | CPU ms/pair | engine's CPU | failed | of the engine that decodes |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|---|");
  for (const { name, isEncoded } of subjects) {
    for (const clients of CLIENTS) {
      const limit = results.get(`${engine.floats.name} ${clients}`)!;
      const decoding = isEncoded ? results.get(`${engine.files.name} ${clients}`) : undefined;
      console.log(`| ${row(name, clients, results.get(`${name} ${clients}`)!, limit, decoding)} |`);
    }
  }
  console.log(
    `\nopen loop: requests come at ${100 * OPEN_LOAD} % of the rate above with ${CLIENTS.at(-1)} clients\n`,
  );
  console.log("| way | requests/s | answered | failed | p50 ms | p95 ms | p99 ms |");
  console.log("|---|---|---|---|---|---|---|");
  for (const subject of subjects) {
    const most = CLIENTS.at(-1)!;
    const perSecond = OPEN_LOAD * over(results.get(`${subject.name} ${most}`)!, rate);
    const result = await measured(subject, 2 * most, (open) => openLoop(open, perSecond, SECONDS));
    const latency = (share: number) => cell(quantile(result.latencies, share));
    console.log(
      `| ${subject.name} | ${cell(perSecond, 1)} | ${result.answered} | ${result.failed} | ${latency(0.5)} | ${latency(0.95)} | ${latency(0.99)} |`,
    );
  }
  const [now, most] = (["VmRSS", "VmHWM"] as const).map((which) => memoryMegabytes(server.pid, which));
  console.log(`\nmemory of the server: ${cell(now!)} MB at the end, ${cell(most!)} MB at most`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
