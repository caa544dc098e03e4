/** @file Models come, change and go while the real command serves them: ports, configuration, labels, broken versions. */
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect as http2Connect } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { writeHalfPlusTwo } from "./support/saved-models.ts";
import { type ServerProcess, serve, spawnServer } from "./support/server-process.ts";
import { writeSlowModel } from "./support/slow-model.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const work = temporaryFolder("lifecycle");
const base = (name: string) => join(work, name);
const QUICK = ["--max_num_load_retries=0", "--file_system_poll_wait_seconds=1"];

/** Publishes a version the safe way: written elsewhere, then renamed. */
async function publish(model: string, version: number): Promise<void> {
  const folder = join(work, `unfinished-${model}-${version}`);
  await writeHalfPlusTwo(folder);
  mkdirSync(base(model), { recursive: true });
  renameSync(folder, join(base(model), String(version)));
}

function publishBroken(model: string, version: number): void {
  mkdirSync(join(base(model), String(version)), { recursive: true });
  writeFileSync(join(base(model), String(version), "saved_model.pb"), "no model");
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Whether the connection is kept for further requests. */
  readonly connection: string | null;
}

async function get(server: ServerProcess, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${server.restPort}${path}`, init);
  const connection = response.headers.get("connection");
  return { status: response.status, body: await response.text(), connection };
}

const predict = (server: ServerProcess, model: string) =>
  get(server, `/v1/models/${model}:predict`, { method: "POST", body: '{"instances": [2.0]}' });

/** The states of a model's versions, such as `2 AVAILABLE`. */
async function states(server: ServerProcess, model: string): Promise<string[]> {
  const { status, body } = await get(server, `/v1/models/${model}`);
  if (status !== 200) return [JSON.parse(body).error];
  const list = JSON.parse(body).model_version_status as { version: string; state: string }[];
  return list.map(({ version, state }) => `${version} ${state}`);
}

async function eventually(server: ServerProcess, model: string, wanted: readonly string[]): Promise<void> {
  while (JSON.stringify(await states(server, model)) !== JSON.stringify(wanted)) await delay(100);
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return Promise.race([
    once(socket, "connect").then(() => true),
    new Promise<boolean>((resolve) => socket.once("error", () => resolve(false))),
  ]).finally(() => socket.destroy());
}

describe("faceid serve", () => {
  beforeAll(() => writeSlowModel(join(base("slow"), "1"), 200));

  it("opens its ports only when a model is there, and ends in good order", async () => {
    const server = await spawnServer([...QUICK, "--model_name=late", `--model_base_path=${base("late")}`]);
    await server.until(`Could not find base path ${base("late")} for servable late`);
    mkdirSync(base("late"));
    await server.until(`No versions of servable late found under base path ${base("late")}`);
    for (const port of [server.grpcPort, server.restPort]) expect(await isOpen(port)).toBe(false);
    await publish("late", 1);
    await server.until("Exporting HTTP/REST API at:localhost:");
    expect(server.log).toContain("Successfully loaded servable version {name: late version: 1}");
    const lines = [
      `Running gRPC ModelServer at 0.0.0.0:${server.grpcPort} ... (all IPv4 addresses)\n`,
      `Exporting HTTP/REST API at:localhost:${server.restPort} ... (all addresses)\n`,
    ];
    for (const line of lines) expect(server.log).toContain(line);
    expect(await predict(server, "late")).toMatchObject({ status: 200 });
    for (const port of [server.grpcPort, server.restPort]) expect(await isOpen(port)).toBe(true);
    expect(await server.stop("SIGTERM")).toBe(0);
  });

  /** The niceness of each thread of a process. */
  function niceness(pid: number): Map<number, number> {
    const folder = `/proc/${pid}/task`;
    return new Map(
      readdirSync(folder).map((thread) => {
        const text = readFileSync(join(folder, thread, "stat"), "utf8");
        // The nineteenth field; the second is a name in brackets, which may hold spaces.
        return [Number(thread), Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16])];
      }),
    );
  }

  it.skipIf(process.platform !== "linux")("puts the engine's threads behind all others", async () => {
    await publish("polite", 1);
    // A session for requests that are alone would add threads as soon as one takes long enough.
    const flags = [
      ...QUICK,
      "--model_name=polite",
      `--model_base_path=${base("polite")}`,
      "--lanes=3",
      "--alone_threads=1",
    ];
    await using server = await serve(flags);
    const own = niceness(process.pid).get(process.pid)!;
    const all = niceness(server.pid);
    expect(all.get(server.pid)).toBe(own);
    const behind = Math.min(own + 5, 19);
    expect([...all.values()].filter((value) => value === behind).length).toBe(own === behind ? all.size : 3);
    expect(new Set(all.values())).toEqual(new Set([own, behind]));
    // A large document is read in a thread that starts then, and stands between the two.
    const body = `{"instances": [${Array(5000).fill("1.0").join(",")}]}`;
    await get(server, "/v1/models/polite:predict", { method: "POST", body });
    const between = Math.min(own + 3, 19);
    expect(new Set(niceness(server.pid).values())).toEqual(new Set([own, between, behind]));
  });

  /** Starts a request that takes a second for every few thousand rows, and waits until it is being worked on. */
  async function slowRequest(
    server: ServerProcess,
    rows: number,
  ): Promise<{ readonly answer: Promise<Answer> }> {
    const body = `{"instances": [${Array(rows).fill("[1.0]").join(",")}]}`;
    const answer = get(server, "/v1/models/slow:predict", { method: "POST", body });
    answer.catch(() => undefined);
    // Whatever came before this has been read.
    for (let i = 0; i < 3; i++) await get(server, "/healthz");
    await delay(100);
    return { answer };
  }

  it("answers what is in flight after SIGTERM, and takes nothing new", async () => {
    const server = await serve([
      ...QUICK,
      "--model_name=slow",
      `--model_base_path=${base("slow")}`,
      "--shutdown_grace_in_ms=100000",
    ]);
    const { answer } = await slowRequest(server, 800);
    const ended = server.stop("SIGTERM");
    await server.until("finishing the requests in progress");
    while (await isOpen(server.restPort)) await delay(10);
    expect(await answer).toMatchObject({ status: 200, connection: "close" });
    expect(await ended).toBe(0);
  });

  it("ends at once at the second signal", async () => {
    const server = await serve([...QUICK, "--model_name=slow", `--model_base_path=${base("slow")}`]);
    const { answer } = await slowRequest(server, 100_000);
    void server.stop("SIGTERM");
    await server.until("finishing the requests in progress");
    expect(await server.stop("SIGTERM")).toBe(143);
    await expect(answer).rejects.toThrow();
  });

  it("cuts off what takes longer than the grace period", async () => {
    const server = await serve([
      ...QUICK,
      "--model_name=slow",
      `--model_base_path=${base("slow")}`,
      "--shutdown_grace_in_ms=300",
    ]);
    const { answer } = await slowRequest(server, 100_000);
    expect(await server.stop("SIGTERM")).toBe(0);
    await expect(answer).rejects.toThrow();
  });

  it("stops when told to while it still waits for a model", async () => {
    const server = await spawnServer([...QUICK, "--model_name=never", `--model_base_path=${base("never")}`]);
    await server.until("Could not find base path");
    expect(await server.stop("SIGINT")).toBe(130);
    expect(server.log).toMatch(/^error: stopped before the server was ready$/m);
    expect(server.isReady).toBe(false);
  });

  it("swaps versions under load without a failure, and keeps the old one when the new one is broken", async () => {
    await publish("swap", 1);
    await using server = await serve([...QUICK, "--model_name=swap", `--model_base_path=${base("swap")}`]);
    const answers = new Map<string, number>();
    let isOver = false;
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, body } = await predict(server, "swap");
        const answer = `${status} ${body.replaceAll(/\s+/g, " ")}`;
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    });
    await publish("swap", 2);
    await eventually(server, "swap", ["2 AVAILABLE", "1 END"]);
    publishBroken("swap", 3);
    await eventually(server, "swap", ["3 END", "2 AVAILABLE", "1 END"]);
    const broken = JSON.parse((await get(server, "/v1/models/swap/versions/3")).body);
    expect(broken.model_version_status[0].status).toEqual({
      error_code: "DATA_LOSS",
      error_message: expect.stringContaining("damaged"),
    });
    expect(broken.model_version_status[0].status.error_message).not.toContain(work);
    // Rolling back is taking the newest version away.
    await publish("swap", 4);
    await eventually(server, "swap", ["4 AVAILABLE", "3 END", "2 END", "1 END"]);
    rmSync(join(base("swap"), "4"), { recursive: true });
    rmSync(join(base("swap"), "3"), { recursive: true });
    await eventually(server, "swap", ["4 END", "3 END", "2 AVAILABLE", "1 END"]);
    isOver = true;
    await Promise.all(clients);
    expect([...answers.keys()]).toEqual(['200 { "predictions": [3.0 ] }']);
  });

  const entry = (model: string, more = "") =>
    `config { name: "${model}" base_path: "${base(model)}" model_platform: "tensorflow" ${more} }`;
  const versions = (...wanted: number[]) =>
    `model_version_policy { specific { ${wanted.map((version) => `versions: ${version}`).join(" ")} } }`;

  it("follows its configuration file: policies, labels, models that come and go", async () => {
    await Promise.all([publish("a", 1), publish("a", 2), publish("b", 7)]);
    const file = join(work, "models.config");
    const write = (...entries: string[]) => {
      writeFileSync(`${file}.new`, `model_config_list { ${entries.join("\n")} }`);
      renameSync(`${file}.new`, file);
    };
    write(entry("a", versions(1)));
    await using server = await serve([
      ...QUICK,
      `--model_config_file=${file}`,
      "--model_config_file_poll_wait_seconds=1",
    ]);
    expect(await states(server, "a")).toEqual(["1 AVAILABLE"]);
    write(entry("a", "model_version_policy { all {} }"), entry("b"));
    await eventually(server, "a", ["2 AVAILABLE", "1 AVAILABLE"]);
    await eventually(server, "b", ["7 AVAILABLE"]);
    const label = (name: string, version: number) => `version_labels { key: "${name}" value: ${version} }`;
    write(
      entry("a", `model_version_policy { all {} } ${label("stable", 1)} ${label("canary", 2)}`),
      entry("b"),
    );
    while ((await predict(server, "a/labels/canary")).status !== 200) await delay(100);
    expect((await predict(server, "a/labels/stable")).status).toBe(200);
    expect((await predict(server, "a/labels/other")).body).toContain(
      "Unrecognized servable version label: other",
    );
    // A label on a version that does not answer is refused with the whole file; what was served goes on.
    write(entry("a", `model_version_policy { all {} } ${label("stable", 9)}`));
    await server.until("which is not currently available for inference; name versions that are loaded");
    expect((await predict(server, "a/labels/stable")).status).toBe(200);
    writeFileSync(file, "model_config_list { nonsense }");
    await server.until("Error parsing text-format tensorflow.serving.ModelServerConfig");
    expect((await predict(server, "b")).status).toBe(200);
    write(entry("b"));
    await eventually(server, "a", ["2 END", "1 END"]);
    expect(await predict(server, "a")).toMatchObject({
      status: 404,
      body: expect.stringContaining("Servable not found for request: Latest(a)"),
    });
    expect((await get(server, "/readyz")).status).toBe(200);
  });

  it.each([
    [
      "labels before their versions are loaded",
      () => entry("late", 'version_labels { key: "stable" value: 1 }'),
      "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version 1 of model late, " +
        "which is not currently available for inference",
    ],
    [
      "a model twice",
      () => `${entry("late")} ${entry("late")}`,
      "Failed to start server. Error: INVALID_ARGUMENT: Illegal to list model late multiple times in config list",
    ],
    [
      "no platform",
      () => `config { name: "late" base_path: "${base("late")}" }`,
      "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform",
    ],
    [
      "text that is none",
      () => "improperly formatted",
      "Error parsing text-format tensorflow.serving.ModelServerConfig: ",
    ],
  ])("refuses a configuration with %s, in one line", async (_, text, message) => {
    const file = join(work, "refused.config");
    writeFileSync(file, `model_config_list { ${text()} }`);
    const server = await spawnServer([...QUICK, `--model_config_file=${file}`]);
    await server.until(message);
    expect(await server.ended).toBe(2);
    expect(server.log).not.toContain("    at ");
  });

  it("says which model failed, and ends", async () => {
    publishBroken("bad", 5);
    const server = await spawnServer([...QUICK, "--model_name=bad", `--model_base_path=${base("bad")}`]);
    await server.until(
      "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{name: bad version: 5} due to error: ",
    );
    expect(await server.ended).toBe(8);
    expect(server.isReady).toBe(false);
  });

  it("tries a broken version again before it gives up", async () => {
    publishBroken("retry", 1);
    await using server = await spawnServer([
      "--load_retry_interval_micros=300000",
      "--max_num_load_retries=200",
      "--model_name=retry",
      `--model_base_path=${base("retry")}`,
    ]);
    await server.until("Retrying of loading servable {name: retry version: 1}, retry 1");
    rmSync(join(base("retry"), "1"), { recursive: true });
    await publish("retry", 1);
    await server.until("Exporting HTTP/REST API");
    expect(await predict(server, "retry")).toMatchObject({ status: 200 });
  });
});

describe("settings of connections and of the end", () => {
  beforeAll(() => publish("settled", 1));
  const settled = () => ["--model_name=settled", `--model_base_path=${base("settled")}`, ...QUICK];

  it("with a shutdown delay, fails probes after SIGTERM while requests are still answered, then ends", async () => {
    const server = await serve([...settled(), "--shutdown_delay_in_ms=6000"]);
    expect((await get(server, "/readyz")).status).toBe(200);
    const code = server.stop("SIGTERM");
    while ((await get(server, "/readyz")).status !== 503) await delay(20);
    expect((await predict(server, "settled")).status).toBe(200);
    expect((await get(server, "/healthz")).status).toBe(200);
    expect(await code).toBe(0);
    expect(await isOpen(server.restPort)).toBe(false);
  });

  it("says how long an idle REST connection stays open, and closes it then", async () => {
    await using server = await serve([...settled(), "--rest_api_keep_alive_in_ms=1000"]);
    const socket = connect(server.restPort, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    const [first] = (await once(socket, "data")) as [Buffer];
    expect(first.toString()).toMatch(/^keep-alive: timeout=1\r$/im);
    socket.resume();
    await once(socket, "end");
  });

  it("closes a gRPC connection on which nothing is asked, as grpc-js' settings say", async () => {
    await using server = await serve([
      ...settled(),
      "--grpc_channel_arguments=grpc.max_connection_idle_ms=500,grpc.keepalive_time_ms=1000",
    ]);
    const session = http2Connect(`http://127.0.0.1:${server.grpcPort}`);
    const pinged = once(session, "ping");
    const [[code]] = await Promise.all([once(session, "goaway"), once(session, "close")]);
    expect(code).toBe(0);
    pinged.catch(() => undefined);
  });
});
