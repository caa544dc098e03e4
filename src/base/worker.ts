/** @file Starts worker threads from sources or the build, ends the process without aborting their native calls, frees memory. */
import { readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { basename } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { WorkerOptions } from "node:worker_threads";
import { getEnvironmentData, isMainThread, setEnvironmentData, threadId, Worker } from "node:worker_threads";

/** The highest niceness on Linux. */
const LEAST_PRIORITY = 19;

/**
 * Gives this thread a lower priority than others, on Linux only: there each thread has its own priority, and the link
 * names the thread's number.
 * @param niceness how much lower, from 0 for no change to 19.
 */
export function lowerPriority(niceness: number): void {
  if (niceness === 0 || process.platform !== "linux") return;
  try {
    const thread = Number(basename(readlinkSync("/proc/thread-self")));
    setPriority(thread, Math.min(getPriority(thread) + niceness, LEAST_PRIORITY));
  } catch {
    // Where that is forbidden, the priority stays as it is.
  }
}

/** Numbers that all threads share: whether the process ends, then how many native calls each thread is in. */
const SHARED = "faceid: native calls";
const ENDING = 0;
const THREADS = 1024;
/** A call that takes longer is abandoned. */
const LONGEST_WAIT_MS = 10_000;

function sharedNumbers(): Int32Array<SharedArrayBuffer> {
  const known = getEnvironmentData(SHARED);
  if (known instanceof Int32Array) return known as Int32Array<SharedArrayBuffer>;
  const numbers = new Int32Array(new SharedArrayBuffer((1 + THREADS) * Int32Array.BYTES_PER_ELEMENT));
  setEnvironmentData(SHARED, numbers);
  return numbers;
}

const shared = sharedNumbers();
const placeOf = (thread: number) => 1 + (thread % THREADS);

/** Waits for native calls to return; a thread that would begin another one waits for the end of the process. */
function awaitNativeCalls(): void {
  Atomics.store(shared, ENDING, 1);
  const last = performance.now() + LONGEST_WAIT_MS;
  for (let place = 1; place <= THREADS; place++) {
    for (let calls = Atomics.load(shared, place); calls > 0; calls = Atomics.load(shared, place)) {
      if (Atomics.wait(shared, place, calls, last - performance.now()) === "timed-out") return;
    }
  }
}

if (isMainThread) process.on("exit", awaitNativeCalls);

/**
 * Calls native code from a worker thread so that `process.exit` waits for it to return. Native code that comes back to
 * a thread which is being torn down cannot throw there, and aborts the whole process.
 */
export async function nativeCall<T>(call: () => Promise<T>): Promise<T> {
  if (isMainThread) return await call();
  const place = placeOf(threadId);
  Atomics.add(shared, place, 1);
  try {
    if (Atomics.load(shared, ENDING) === 0) return await call();
  } finally {
    Atomics.sub(shared, place, 1);
    Atomics.notify(shared, place);
  }
  return await new Promise<T>(() => undefined);
}

export interface ThreadLimits {
  /** The most that JavaScript values may take; a thread that needs more ends with an error. */
  readonly heapMegabytes?: number | undefined;
}

/**
 * Starts the module `name` (without extension) in the caller's folder.
 * @param from the caller's `import.meta.url`, which also tells whether sources or the build are running.
 */
export function startWorker(
  from: string,
  name: string,
  workerData: unknown,
  { heapMegabytes }: ThreadLimits = {},
): Worker {
  // Threads of a program run with `node --input-type=module --eval` inherit the flag and fail on it.
  const evaluated = process.execArgv.some((flag) => flag.startsWith("--input-type"));
  const options = {
    workerData,
    ...(evaluated && { execArgv: [] }),
    ...(heapMegabytes !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } }),
  };
  const worker = new Worker(...programOf(from, name, options));
  const place = placeOf(worker.threadId);
  // A thread that has ended is in no call.
  worker.once("exit", () => Atomics.store(shared, place, 0));
  return worker;
}

/** What a thread runs: the built module, or the source through a loader. */
function programOf(from: string, name: string, options: WorkerOptions): [URL | string, WorkerOptions] {
  if (!from.endsWith(".ts")) return [new URL(`${name}.js`, from), options];
  // Node 20 cannot read TypeScript by itself. Only development and tests run from source, where tsx is installed.
  const loader = import.meta.resolve("tsx/esm/api");
  const source = new URL(`${name}.ts`, from).href;
  const start = `import(${JSON.stringify(loader)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(source)}); })`;
  return [start, { ...options, eval: true }];
}

let collect: (() => void) | undefined;

/** Collects all garbage of this thread, which stops it for some milliseconds. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

/** A thread that is still busy collects its garbage by itself. */
const IDLE_MS = 200;
/** Less than this is not worth a full collection, which takes as long as reading tens of requests. */
const LEAST_GARBAGE = 6 * 2 ** 20;
let timer: NodeJS.Timeout | undefined;
/** What the last collection left; undefined before the first, which always pays: a thread has just been set up. */
let left: number | undefined;

/** Bytes of this thread's heap and of the buffers that it holds outside. */
function heldBytes(): number {
  // The heap's own figure of what lies outside follows late.
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * Collects the garbage of this thread when it has had some time without another call of this function, and holds much more
 * than after the last time.
 */
export function collectWhenIdle(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (left !== undefined && heldBytes() - left < LEAST_GARBAGE) return;
    collectGarbage();
    left = heldBytes();
    // Buffers are freed by another thread in the time after.
    setTimeout(() => {
      left = Math.min(left!, heldBytes());
    }, IDLE_MS / 2).unref();
  }, IDLE_MS).unref();
}
