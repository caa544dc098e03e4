/** @file Batches: gathered, padded, split, refused and shared out as TensorFlow Serving does it. */

import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { halfPlusTwo } from "../../../test/support/servables.ts";
import { Limiter } from "../../base/limiter.ts";
import { float32, floats, type Tensor, type TensorMap, tensor } from "../../base/tensor.ts";
import { BatchingParametersSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Servable } from "../engine/servable.ts";
import { StatusError } from "../status.ts";
import { BatchedServable } from "./batched-servable.ts";
import { BatchQueue, BatchThreads } from "./batcher.ts";
import { allowedSize, type BatchOptions, batchOptions, defaultBatchOptions } from "./options.ts";

const STRICT: BatchOptions = { ...batchOptions(create(BatchingParametersSchema)), threads: 1 };

/** Doubles `x`, one batch at a time, when it is let go. */
function held(options: Partial<BatchOptions> = {}) {
  const sizes: number[] = [];
  let open: () => void = () => undefined;
  let gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const run = async (inputs: TensorMap): Promise<TensorMap> => {
    const x = inputs.get("x")!;
    sizes.push(x.shape[0]!);
    await gate;
    if (x.dtype === "string") return new Map([["y", x]]);
    return new Map([
      [
        "y",
        float32(
          x.shape,
          floats(x).map((value) => value * 2),
        ),
      ],
    ]);
  };
  const settings = { ...STRICT, ...options };
  const queue = new BatchQueue(run, ["y"], settings, new BatchThreads(settings.threads));
  const ask = async (x: Tensor, signal?: AbortSignal) =>
    (await queue.submit(new Map([["x", x]]), signal)).get("y")!;
  const release = () => {
    open();
    gate = Promise.resolve();
  };
  return { queue, ask, release, sizes };
}

const row = (...values: number[]) => float32([1, values.length], values);

describe("a queue", () => {
  it("runs what is there at once, and gathers what comes meanwhile", async () => {
    const { ask, release, sizes } = held();
    const answers = [ask(row(1)), ask(row(2)), ask(float32([2, 1], [3, 4]))];
    release();
    const [a, b, c] = await Promise.all(answers);
    expect([a!.data, b!.data, c!.data]).toEqual([
      Float32Array.of(2),
      Float32Array.of(4),
      Float32Array.of(6, 8),
    ]);
    expect(sizes).toEqual([1, 3]);
  });

  it("waits a while for a batch to fill, but not when it is full", async () => {
    const { ask, release, sizes } = held({ timeoutMs: 20, maxBatchSize: 2 });
    release();
    await Promise.all([ask(row(1)), ask(row(2)), ask(row(3))]);
    expect(sizes).toEqual([2, 1]);
  });

  it("pads the batch to an allowed size with its last task's first row", async () => {
    const { ask, release, sizes } = held({ allowedBatchSizes: [2, 4], maxBatchSize: 4 });
    const answers = [ask(row(1)), ask(row(2)), ask(row(3)), ask(row(4))];
    release();
    expect((await Promise.all(answers)).map(({ data }) => data[0])).toEqual([2, 4, 6, 8]);
    expect(sizes).toEqual([2, 4]);
  });

  it("pads rows of different sizes where that is allowed, and refuses the whole batch where not", async () => {
    const padded = held({ padVariableLengthInputs: true });
    const first = padded.ask(row(9));
    const answers = [padded.ask(row(1, 2)), padded.ask(row(3))];
    padded.release();
    await first;
    expect((await Promise.all(answers)).map(({ data }) => data)).toEqual([
      Float32Array.of(2, 4),
      Float32Array.of(6, 6),
    ]);
    const plain = held();
    const alone = plain.ask(row(9));
    const refused = [plain.ask(row(1, 2)), plain.ask(row(3))];
    plain.release();
    await alone;
    for (const answer of await Promise.allSettled(refused)) {
      expect(answer).toMatchObject({ reason: { status: "FAILED_PRECONDITION" } });
    }
  });

  it("stacks strings", async () => {
    const { ask, release } = held();
    const word = (text: string) => tensor("string", [1], [new TextEncoder().encode(text)]);
    const answers = [ask(word("a")), ask(word("b")), ask(word("c"))];
    release();
    expect((await Promise.all(answers)).map(({ data }) => data)).toEqual(
      ["a", "b", "c"].map((text) => word(text).data),
    );
  });

  it("refuses requests that are too large, and all once it is full", async () => {
    const { ask, release } = held({ maxBatchSize: 2, maxEnqueuedBatches: 1 });
    await expect(ask(float32([3], [1, 2, 3]))).rejects.toThrow(
      "Task size 3 is larger than maximum input batch size 2",
    );
    const running = ask(float32([2], [1, 2]));
    const waiting = ask(float32([2], [1, 2]));
    await expect(ask(float32([1], [1]))).rejects.toMatchObject({
      status: "UNAVAILABLE",
      message:
        "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and " +
        "max_enqueued_batches is 1",
    });
    release();
    await Promise.all([running, waiting]);
  });

  it("splits large requests where that is allowed", async () => {
    const { ask, release, sizes } = held({
      splitLargeRequests: true,
      maxExecutionBatchSize: 2,
      maxBatchSize: 8,
    });
    release();
    expect((await ask(float32([5], [1, 2, 3, 4, 5]))).data).toEqual(Float32Array.of(2, 4, 6, 8, 10));
    expect(sizes).toEqual([2, 2, 1]);
  });

  it("lets a request larger than an empty queue in as a whole, and others not before there is room", async () => {
    const { ask, release, sizes } = held({
      splitLargeRequests: true,
      maxExecutionBatchSize: 2,
      maxBatchSize: 64,
      maxEnqueuedBatches: 3,
    });
    const values = Array.from({ length: 22 }, (_, i) => i);
    const large = ask(float32([22], values));
    await expect(ask(row(1))).rejects.toMatchObject({ status: "UNAVAILABLE" });
    release();
    expect([...(await large).data]).toEqual(values.map((value) => 2 * value));
    expect(sizes).toHaveLength(11);
  });

  it("tells the failure of one part of a request when no part is run any more", async () => {
    const ends: (() => void)[] = [];
    const run = (inputs: TensorMap) =>
      new Promise<TensorMap>((resolve, reject) => {
        const isFirst = ends.length === 0;
        ends.push(() => (isFirst ? reject(new Error("broken")) : resolve(inputs)));
      });
    const options = { ...STRICT, splitLargeRequests: true, maxExecutionBatchSize: 1, threads: 2 };
    const queue = new BatchQueue(run, ["x"], options, new BatchThreads(2));
    let isTold = false;
    const answer = queue.submit(new Map([["x", float32([2], [1, 2])]])).finally(() => {
      isTold = true;
    });
    answer.catch(() => undefined);
    ends[0]!();
    await new Promise(setImmediate);
    expect(isTold).toBe(false);
    ends[1]!();
    await expect(answer).rejects.toThrow("broken");
  });

  it("runs the members of a failed batch alone, so that a stranger's rows make nobody else fail", async () => {
    const sizes: number[] = [];
    const lookup = async (inputs: TensorMap): Promise<TensorMap> => {
      const x = floats(inputs.get("x")!);
      sizes.push(x.length);
      const wrong = x.find((value) => value < 0);
      if (wrong !== undefined) throw new StatusError("INVALID_ARGUMENT", `index ${wrong} is out of range`);
      return new Map([
        [
          "y",
          float32(
            [x.length, 1],
            x.map((value) => 2 * value),
          ),
        ],
      ]);
    };
    const settings = { ...STRICT, timeoutMs: 60_000, maxBatchSize: 6 };
    const queue = new BatchQueue(lookup, ["y"], settings, new BatchThreads(1));
    const ask = async (value: number) =>
      floats((await queue.submit(new Map([["x", row(value)]]))).get("y")!)[0];
    const answers = await Promise.allSettled([1, -7, 2, 3, -9, 4].map(ask));
    expect(
      answers.map((each) => (each.status === "fulfilled" ? each.value : String(each.reason.message))),
    ).toEqual([2, "index -7 is out of range", 4, 6, "index -9 is out of range", 8]);
    expect(sizes).toEqual([6, 1, 1, 1, 1, 1, 1]);
  });

  it("frees the place of a task that nobody waits for any more at once", async () => {
    const { queue, ask, release, sizes } = held({ maxBatchSize: 1, maxEnqueuedBatches: 1 });
    const running = ask(row(1));
    const leaving = new AbortController();
    const waiting = ask(row(2), leaving.signal);
    await expect(ask(row(3))).rejects.toMatchObject({ status: "UNAVAILABLE" });
    leaving.abort(new StatusError("CANCELLED", "gone"));
    await expect(waiting).rejects.toMatchObject({ status: "CANCELLED" });
    expect(queue.depth).toBe(0);
    const next = ask(row(4));
    release();
    expect((await Promise.all([running, next])).map(({ data }) => data[0])).toEqual([2, 8]);
    expect(sizes).toEqual([1, 1]);
  });

  it("drops tasks whose time is over before they are run", async () => {
    const { ask, release, sizes } = held();
    const late = new AbortController();
    const running = ask(row(1));
    const waiting = ask(row(2), late.signal);
    late.abort(new StatusError("DEADLINE_EXCEEDED", "late"));
    release();
    await running;
    await expect(waiting).rejects.toMatchObject({
      status: "RESOURCE_EXHAUSTED",
      message: "Run() timeout exceeded while waiting in batching queue",
    });
    expect(sizes).toEqual([1]);
  });

  it.each([[float32([], [1]), "Batching Run() input tensors must have at least one dimension"]])(
    "refuses what has no rows",
    async (x, message) => {
      await expect(held().ask(x)).rejects.toThrow(message);
    },
  );
});

describe("options", () => {
  it("takes TensorFlow Serving's defaults and checks sizes", () => {
    expect(STRICT).toMatchObject({
      maxBatchSize: 1000,
      maxEnqueuedBatches: 10,
      timeoutMs: 0,
      isStrict: true,
    });
    expect(allowedSize(3, { ...STRICT, allowedBatchSizes: [2, 4] })).toBe(4);
    expect(() =>
      batchOptions(create(BatchingParametersSchema, { maxBatchSize: 8n, allowedBatchSizes: [2n, 4n] })),
    ).toThrow("Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8");
  });
});

describe("a model with batching that nobody asked for", () => {
  it("answers whatever the model alone would answer", async () => {
    const options = defaultBatchOptions(1);
    const model = new BatchedServable(halfPlusTwo({ name: "m", version: 1n }), options, new BatchThreads(1));
    const ask = async (x: Tensor) =>
      (await model.run("serving_default", new Map([["x", x]]), ["y"])).get("y")!;
    const answers = await Promise.all([
      ask(float32([], [1])),
      ask(float32([0], [])),
      ask(row(1, 2)),
      ask(row(1)),
      ask(float32([40], new Float32Array(40))),
    ]);
    expect(answers.map(({ shape }) => shape)).toEqual([[], [0], [1, 2], [1, 1], [40]]);
  });

  /** A model that notes how many rows it is given at a time. */
  function counted(answer: (x: Tensor, runs: number) => Promise<Tensor>, declared = -1) {
    const model = halfPlusTwo({ name: "m", version: 1n });
    const signature = model.signatures.get("serving_default")!;
    const x = { ...signature.inputs.get("x")!, shape: [declared] };
    const sizes: number[] = [];
    const servable: Servable = {
      name: model.name,
      version: model.version,
      signatures: new Map([["serving_default", { ...signature, inputs: new Map([["x", x]]) }]]),
      signatureDefs: model.signatureDefs,
      async run(_, inputs) {
        const x = inputs.get("x")!;
        sizes.push(x.shape[0]!);
        return new Map([["y", await answer(x, sizes.length)]]);
      },
      close: () => model.close(),
    };
    const batched = new BatchedServable(servable, defaultBatchOptions(2), new BatchThreads(2));
    const ask = async (rows: number, signal?: AbortSignal) => {
      const x = float32(
        [rows],
        Float32Array.from({ length: rows }, (__, i) => i),
      );
      const options = signal === undefined ? {} : { signal };
      return (await batched.run("serving_default", new Map([["x", x]]), ["y"], options)).get("y")!;
    };
    return { ask, sizes };
  }

  it("runs many large requests at once in few parts, though they wait for each other", async () => {
    // An engine with two threads, a tenth of a millisecond for a run.
    const engine = new Limiter(2);
    const { ask, sizes } = counted((x) =>
      engine.run(async () => {
        const endMs = performance.now() + 0.1;
        while (performance.now() < endMs);
        await nextTurn();
        return float32(x.shape, x.data as Float32Array);
      }),
    );
    const rows = 10_000;
    const answers = await Promise.all(Array.from({ length: 24 }, () => ask(rows)));
    expect(answers.every(({ data }) => (data as Float32Array)[rows - 1] === rows - 1)).toBe(true);
    // Parts of eight rows, which never grow, would be 30,000.
    expect(sizes.length).toBeLessThan(3000);
    expect(sizes.reduce((a, b) => a + b)).toBe(24 * rows);
  });

  it.each<[string, BatchOptions]>([
    ["as nobody asked", defaultBatchOptions(1)],
    ["in TensorFlow Serving's way, with large requests split", { ...STRICT, splitLargeRequests: true }],
    ["with padding", { ...STRICT, maxBatchSize: 2 ** 20, padVariableLengthInputs: true }],
  ])("runs millions of rows without elements at once and alone, batching %s", async (_, options) => {
    const model = halfPlusTwo({ name: "m", version: 1n });
    let runs = 0;
    const run: Servable["run"] = (...call) => {
      runs++;
      return model.run(...call);
    };
    const batched = new BatchedServable({ ...model, run }, options, new BatchThreads(1));
    const x = float32([2 ** 20, 0, 3], []);
    const outputs = await batched.run("serving_default", new Map([["x", x]]), ["y"]);
    expect(outputs.get("y")!.shape).toEqual([2 ** 20, 0, 3]);
    expect(runs).toBe(1);
  });

  it("runs very many rows in short pieces and puts the answers together", async () => {
    const { ask, sizes } = counted(async (x) => {
      await delay(3);
      return float32(
        x.shape,
        floats(x).map((value) => 2 * value),
      );
    });
    const { shape, data } = await ask(1003);
    expect(shape).toEqual([1003]);
    expect([...(data as Float32Array)]).toEqual(Array.from({ length: 1003 }, (_, i) => 2 * i));
    expect(sizes).toHaveLength(126);
    expect(Math.max(...sizes)).toBe(8);
  });

  it("takes larger pieces of rows that take no time", async () => {
    const { ask, sizes } = counted(async (x) => x);
    const { data } = await ask(100_003);
    expect([...(data as Float32Array)]).toEqual(Array.from({ length: 100_003 }, (_, i) => i));
    expect(sizes.slice(0, 2)).toEqual([8, 8]);
    expect(sizes.length).toBeLessThan(100_003 / 16);
    expect(sizes.reduce((sum, rows) => sum + rows)).toBe(100_003);
  });

  it("stops between two pieces when the client leaves, or one of them fails", async () => {
    const left = new AbortController();
    const leaving = counted(async (x, runs) => {
      if (runs === 5) left.abort(new StatusError("CANCELLED", "gone"));
      return x;
    });
    await expect(leaving.ask(1000, left.signal)).rejects.toThrow("gone");
    expect(leaving.sizes.length).toBeLessThan(8);
    const failing = counted(async (x, runs) => {
      if (runs === 3) throw new Error("broken");
      return x;
    });
    await expect(failing.ask(1000)).rejects.toThrow("broken");
    expect(failing.sizes.length).toBeLessThan(6);
  });

  it("runs very many rows at once after all when answers have no row for each of them", async () => {
    const { ask, sizes } = counted(async (x) => float32([1], [floats(x).length]));
    expect((await ask(100)).data).toEqual(Float32Array.of(100));
    expect(sizes.at(-1)).toBe(100);
    sizes.length = 0;
    await ask(100);
    expect(sizes).toEqual([100]);
  });

  it("neither splits nor joins requests whose rows the signature says", async () => {
    for (const rows of [4, 10, 100]) {
      const { ask, sizes } = counted(async (x) => x, rows);
      await Promise.all([ask(rows), ask(rows), ask(rows)]);
      expect(sizes).toEqual([rows, rows, rows]);
    }
  });
});
