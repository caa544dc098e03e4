/** @file Calls to real threads: answers, errors, memory that moves, threads that die, pools that replace them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { systemCode } from "./errors.ts";
import { WorkerClient, type WorkerClientOptions, WorkerPool } from "./worker-client.ts";

interface ThreadCalls {
  add(a: number, b: number): number;
  fail(code: string): void;
  twice(values: Float32Array): Float32Array;
  /** Waits until the number in shared memory is 1. */
  wait(gate: Int32Array): string;
  id(): number;
  die(): void;
  fill(): number;
  /** Bytes of the thread's heap without garbage. */
  held(): number;
}

const folder = mkdtempSync(join(tmpdir(), "faceid-worker-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const from = (name: string) => pathToFileURL(join(import.meta.dirname, name)).href;
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
writeFileSync(
  join(folder, "thread.ts"),
  `import { getHeapStatistics } from "node:v8";
  import { threadId } from "node:worker_threads";
  import { collectGarbage } from ${JSON.stringify(from("worker.ts"))};
  import { FaceError } from ${JSON.stringify(from("errors.ts"))};
  import { Moved, serveCalls } from ${JSON.stringify(from("worker-client.ts"))};
  serveCalls((data) => {
    if (data.broken) throw new FaceError("MODEL_INVALID", "broken", { hint: "mend it" });
    if (data.slow !== undefined) {
      while (Atomics.load(data.slow, 0) === 0) Atomics.wait(data.slow, 0, 0, 100);
      Atomics.store(data.slow, 0, 2);
    }
    return {
      add: (a, b) => a + b,
      fail: (code) => {
        throw code === "" ? new TypeError("a mistake") : new FaceError(code, "failed", { hint: "try again" });
      },
      twice: (values) => new Moved(values.map((value) => 2 * value), []),
      wait: (gate) => {
        while (Atomics.load(gate, 0) === 0) Atomics.wait(gate, 0, 0, 100);
        return "waited";
      },
      id: () => threadId,
      die: () => {
        setImmediate(() => {
          throw new RangeError("out of order");
        });
        return new Promise(() => undefined);
      },
      held: () => {
        collectGarbage();
        return getHeapStatistics().used_heap_size;
      },
      fill: () => {
        const held = [];
        for (;;) held.push(Array.from({ length: 1000 }, () => ({})));
      },
      [Symbol.asyncDispose]: async () => {
        Atomics.store(data.disposed, 0, 1);
      },
    };
  });`,
);

const gate = () => new Int32Array(new SharedArrayBuffer(4));

function start(data: Record<string, unknown> = {}, options: WorkerClientOptions = {}) {
  const here = pathToFileURL(join(folder, "client.ts")).href;
  return new WorkerClient<ThreadCalls>(here, "thread", { disposed: gate(), ...data }, options);
}

describe("WorkerClient", () => {
  it("answers calls, and revives errors with code and hint", async () => {
    await using client = start();
    await client.ready;
    expect(await Promise.all([client.call("add", [1, 2]), client.call("add", [3, 4])])).toEqual([3, 7]);
    await expect(client.call("fail", ["FILE_INVALID"])).rejects.toMatchObject({
      name: "FaceError",
      code: "FILE_INVALID",
      message: "failed",
      hint: "try again",
    });
    await expect(client.call("fail", [""])).rejects.toMatchObject({ code: "INTERNAL", message: "a mistake" });
    expect(client.pending).toBe(0);
  });

  it("leaves nothing of a call in the thread", async () => {
    await using client = start();
    const calls = async (count: number) => {
      for (let i = 0; i < count; i += 1000) {
        await Promise.all(Array.from({ length: 1000 }, () => client.call("add", [1, 2])));
      }
      return await client.call("held", []);
    };
    await calls(5000);
    const before = await calls(1000);
    // Sixty-four bytes of each call would be 1.9 MB.
    expect((await calls(30_000)) - before).toBeLessThan(500_000);
  });

  it("moves memory that is handed over", async () => {
    await using client = start();
    const values = Float32Array.of(1, 2, 3);
    const answer = await client.call("twice", [values], [values.buffer]);
    expect([...answer]).toEqual([2, 4, 6]);
    expect(values.length).toBe(0);
  });

  it("passes on the error of a thread that cannot open, to those who wait and those who call", async () => {
    const client = start({ broken: true });
    const call = client.call("id", []);
    await expect(client.ready).rejects.toMatchObject({ code: "MODEL_INVALID", hint: "mend it" });
    await expect(call).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await expect(client.call("id", [])).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await client.close();
  });

  it("fails what is pending when the thread dies, and says why", async () => {
    const client = start({}, { label: "a test thread" });
    const calls = [client.call("die", []), client.call("add", [1, 1])];
    const reason = {
      code: "INTERNAL",
      message: "a test thread crashed: out of order",
      cause: { name: "RangeError" },
    };
    expect(await Promise.allSettled(calls)).toMatchObject([{ reason }, { reason }]);
    expect(client.alive).toBe(false);
    await client.terminate();
  });

  it("ends a thread that takes more memory than it may", async () => {
    const client = start({}, { heapMegabytes: 16 });
    const error: unknown = await client.call("fill", []).catch((reason: unknown) => reason);
    expect(systemCode((error as Error).cause)).toBe("ERR_WORKER_OUT_OF_MEMORY");
    await client.terminate();
  });

  it("closes when all is answered and what the thread opened is disposed of", async () => {
    const disposed = gate();
    const client = start({ disposed });
    const open = gate();
    const waiting = client.call("wait", [open]);
    const closed = client.close();
    await expect(client.call("add", [1, 1])).rejects.toThrow("internal: the worker thread was closed");
    Atomics.store(open, 0, 1);
    expect(await waiting).toBe("waited");
    await closed;
    expect(disposed[0]).toBe(1);
  });

  it("terminates at once, whatever is pending", async () => {
    const client = start();
    const waiting = client.call("wait", [gate()]);
    const outcome = expect(waiting).rejects.toThrow("internal: the worker thread was closed");
    await client.terminate();
    await outcome;
  });
});

describe("WorkerPool", () => {
  it("starts a thread only while all others are busy, and reuses idle ones", async () => {
    await using pool = new WorkerPool<ThreadCalls>(2, () => start());
    const first = await pool.call("id", []);
    expect(await pool.call("id", [])).toBe(first);
    const open = gate();
    const waiting = pool.call("wait", [open]);
    const second = await pool.call("id", []);
    expect(second).not.toBe(first);
    expect(await pool.call("id", [])).toBe(second);
    Atomics.store(open, 0, 1);
    await waiting;
  });

  it("replaces a thread that died", async () => {
    await using pool = new WorkerPool<ThreadCalls>(1, () => start());
    await pool.open();
    const first = await pool.call("id", []);
    await expect(pool.call("die", [])).rejects.toThrow("out of order");
    expect(await pool.call("id", [])).not.toBe(first);
  });

  it("fails to open when one of its threads does, and takes no calls when closed", async () => {
    const pool = new WorkerPool<ThreadCalls>(2, () => start({ broken: true }));
    await expect(pool.open()).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await expect(pool.call("id", [])).rejects.toThrow("internal: the thread pool was closed");
  });

  it("ends no thread while it opens, where another has failed", async () => {
    const slow = gate();
    const clients = [start({ broken: true }), start({ slow })];
    const [broken] = clients;
    const pool = new WorkerPool<ThreadCalls>(2, () => clients.shift()!);
    const opening = expect(pool.open()).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await expect(broken!.ready).rejects.toThrow("broken");
    Atomics.store(slow, 0, 1);
    await opening;
    expect(slow[0]).toBe(2);
  });
});
