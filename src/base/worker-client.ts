/** @file Typed calls to worker threads: the client, the loop in the thread that answers it, and a pool of threads. */
import { parentPort, type Transferable, type Worker, workerData } from "node:worker_threads";
import { asFaceError, type ErrorCode, FaceError, messageOf } from "./errors.ts";
import { platformFailure } from "./platform.ts";
import { startWorker, type ThreadLimits } from "./worker.ts";

/** What a thread can be asked, as functions by name. Arguments and answers are copied between the threads. */
export type Calls<C> = { readonly [K in keyof C]: (...args: never[]) => unknown };
export type Arguments<C extends Calls<C>, K extends keyof C> = Parameters<C[K]>;
export type Answer<C extends Calls<C>, K extends keyof C> = Awaited<ReturnType<C[K]>>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly stack: string | undefined;
}

type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: Failure };

/** The id of a thread's first reply, which says that it is open. */
const READY = 0;
/** The id of the request after which the thread ends. */
const CLOSE = -1;

/** An answer whose memory moves to the caller instead of being copied. */
export class Moved<T> {
  readonly answer: T;
  readonly buffers: readonly Transferable[];

  constructor(answer: T, buffers: readonly Transferable[]) {
    this.answer = answer;
    this.buffers = buffers;
  }
}

type Handled<T> = T | Moved<T>;

/** The functions of `C` as a thread defines them; the dispose function runs when the client closes the thread. */
export type Handlers<C extends Calls<C>> = {
  readonly [K in keyof C]: (
    ...args: Arguments<C, K>
  ) => Handled<Answer<C, K>> | Promise<Handled<Answer<C, K>>>;
} & Partial<AsyncDisposable>;

export interface ServeOptions {
  /** Whether a call starts while earlier ones are awaited. Default false: one at a time, in the order they came. */
  readonly concurrent?: boolean;
  /** Called with each error before it is sent to the client. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Answers the calls of a WorkerClient; the module of a worker thread calls it once.
 * @param open turns the client's `data` into the functions; calls wait until it is done.
 */
export function serveCalls<C extends Calls<C>, Data = undefined>(
  open: (data: Data) => Handlers<C> | Promise<Handlers<C>>,
  { concurrent = false, onError }: ServeOptions = {},
): void {
  const port = parentPort!;
  const send = (id: number, answer: unknown) => {
    if (answer instanceof Moved) port.postMessage({ id, answer: answer.answer }, answer.buffers);
    else port.postMessage({ id, answer });
  };
  const fail = (id: number, error: unknown) => {
    onError?.(error);
    port.postMessage({ id, failure: failureOf(error) });
  };
  const listen = (handlers: Handlers<C>) => {
    const functions = handlers as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
    let earlier: Promise<void> = Promise.resolve();
    const answer = async ({ id, name, args }: Request) => {
      try {
        send(id, await functions[name]!(...args));
      } catch (error) {
        fail(id, error);
      }
    };
    const close = async () => {
      await earlier;
      await handlers[Symbol.asyncDispose]?.();
      port.close();
    };
    port.on("message", ({ id, name, args }: Request) => {
      if (id === CLOSE) {
        void close();
        return;
      }
      const request = { id, name, args };
      const work = concurrent ? answer(request) : earlier.then(() => answer(request));
      // Without a value: a list of both would hold the list before it, and so on, for every call there ever was.
      earlier = Promise.all([earlier, work]).then(() => undefined);
    });
    send(READY, undefined);
  };
  Promise.resolve(workerData as Data)
    .then(open)
    .then(listen)
    .catch((error: unknown) => fail(READY, error));
}

function failureOf(error: unknown): Failure {
  const { code, message, hint } = platformFailure(error) ??
    asFaceError(error) ?? { code: "INTERNAL" as const, message: messageOf(error), hint: undefined };
  return { code, message, hint, stack: error instanceof Error ? error.stack : undefined };
}

function errorOf({ code, message, hint, stack }: Failure): FaceError {
  const error = new FaceError(code, message, hint === undefined ? {} : { hint });
  if (stack !== undefined) error.stack = stack;
  return error;
}

interface Pending {
  resolve(answer: unknown): void;
  reject(error: FaceError): void;
}

export interface WorkerClientOptions extends ThreadLimits {
  /** What errors call the thread. Default "the worker thread". */
  readonly label?: string;
}

/** A worker thread whose module calls `serveCalls`. It keeps the process alive only while a call is pending. */
export class WorkerClient<C extends Calls<C>> implements AsyncDisposable {
  /** Settles when the thread is open, or rejects with the error of its `open`. Calls need not wait for it. */
  readonly ready: Promise<void>;
  readonly #label: string;
  readonly #worker: Worker;
  readonly #exit: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #lastId = READY;
  #failure: FaceError | undefined;
  #isEnding = false;

  /**
   * Starts a thread.
   * @param from the caller's `import.meta.url`.
   * @param module the thread's module beside the caller, without extension.
   * @param data what the thread's `open` gets.
   */
  constructor(
    from: string,
    module: string,
    data: unknown,
    { label = "the worker thread", heapMegabytes }: WorkerClientOptions = {},
  ) {
    this.#label = label;
    this.#worker = startWorker(from, module, data, { heapMegabytes });
    this.#worker.on("message", (reply: Reply) => this.#receive(reply));
    this.#worker.on("error", (cause) => {
      this.#fail(
        platformFailure(cause) ??
          new FaceError("INTERNAL", `${label} crashed: ${messageOf(cause)}`, { cause }),
      );
    });
    this.#exit = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail(new FaceError("INTERNAL", `${label} has ended`));
        resolve();
      });
    });
    this.ready = this.#reply(READY) as Promise<void>;
    // Callers that do not wait for it get the error from their calls.
    this.ready.catch(() => undefined);
  }

  /** Whether the thread can take calls: it has neither failed nor been closed. */
  get alive(): boolean {
    return this.#failure === undefined && !this.#isEnding;
  }

  /** How many calls wait for their answer; opening the thread counts as one. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Calls a function of the thread.
   * @param transfer memory that moves to the thread; the caller must not use it afterwards.
   * @throws FaceError with the code, message and hint of the error that the function threw, `INTERNAL` for any error
   *   other than a FaceError, and when the thread has failed, ended or been closed. `cause` is what ended the thread.
   */
  call<K extends keyof C & string>(
    name: K,
    args: Arguments<C, K>,
    transfer: readonly Transferable[] = [],
  ): Promise<Answer<C, K>> {
    if (!this.alive) return Promise.reject(this.#failure ?? this.#closed());
    const id = ++this.#lastId;
    try {
      this.#worker.postMessage({ id, name, args } satisfies Request, transfer);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#reply(id) as Promise<Answer<C, K>>;
  }

  /** Ends the thread when it has answered what is pending and disposed of what it opened. Later calls fail. */
  async close(): Promise<void> {
    if (!this.alive) return this.#exit;
    this.#end();
    this.#worker.postMessage({ id: CLOSE, name: "", args: [] } satisfies Request);
    await this.#exit;
  }

  /** Ends the thread at once; pending calls fail. */
  async terminate(): Promise<void> {
    this.#end();
    this.#fail(this.#closed());
    await this.#worker.terminate();
  }

  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close();

  #closed(): FaceError {
    return new FaceError("INTERNAL", `internal: ${this.#label} was closed`);
  }

  #end(): void {
    this.#isEnding = true;
    // Otherwise an idle process could end before the thread has, and code that awaits this would never continue.
    this.#worker.ref();
  }

  #reply(id: number): Promise<unknown> {
    this.#worker.ref();
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #receive(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0 && !this.#isEnding) this.#worker.unref();
    if ("answer" in reply) {
      pending?.resolve(reply.answer);
      return;
    }
    const error = errorOf(reply.failure);
    pending?.reject(error);
    if (reply.id === READY) {
      this.#fail(error);
      void this.#worker.terminate();
    }
  }

  #fail(error: FaceError): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}

/**
 * Waits until threads are open. Where one fails, the others are waited for first: native code that throws in a thread that is being ended
 * ends the process.
 * @throws what one of them throws.
 */
export async function untilOpen(threads: readonly Pick<WorkerClient<never>, "ready">[]): Promise<void> {
  const opened = await Promise.allSettled(threads.map(({ ready }) => ready));
  const failed = opened.find((each) => each.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/**
 * Up to `size` threads that share the same calls, started when they are needed: each call goes to the least busy thread,
 * and a thread that dies is replaced.
 */
export class WorkerPool<C extends Calls<C>> implements AsyncDisposable {
  readonly #size: number;
  readonly #start: () => WorkerClient<C>;
  #clients: WorkerClient<C>[] = [];
  #isClosed = false;

  /** @param start starts one thread. */
  constructor(size: number, start: () => WorkerClient<C>) {
    this.#size = size;
    this.#start = start;
  }

  /**
   * Starts all threads and waits until they are open.
   * @throws what one of them throws; the others are ended.
   */
  async open(): Promise<void> {
    while (this.#clients.length < this.#size) this.#clients.push(this.#start());
    try {
      await untilOpen(this.#clients);
    } catch (error) {
      await this.terminate();
      throw error;
    }
  }

  /** How many calls wait for their answer; opening a thread counts as one. */
  get pending(): number {
    return this.#clients.reduce((sum, { pending }) => sum + pending, 0);
  }

  /**
   * Calls a function of one of the threads, see `WorkerClient.call`.
   * @throws FaceError `INTERNAL` when the thread dies over it; later calls get a new thread.
   */
  call<K extends keyof C & string>(
    name: K,
    args: Arguments<C, K>,
    transfer: readonly Transferable[] = [],
  ): Promise<Answer<C, K>> {
    if (this.#isClosed)
      return Promise.reject(new FaceError("INTERNAL", "internal: the thread pool was closed"));
    return this.#leastBusy().call(name, args, transfer);
  }

  #leastBusy(): WorkerClient<C> {
    this.#clients = this.#clients.filter(({ alive }) => alive);
    const [first, ...others] = this.#clients;
    const best = others.reduce((a, b) => (b.pending < (a?.pending ?? 0) ? b : a), first);
    if (best !== undefined && (best.pending === 0 || this.#clients.length >= this.#size)) return best;
    const started = this.#start();
    this.#clients.push(started);
    return started;
  }

  /** Ends the threads when they have answered what is pending. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Ends the threads at once; pending calls fail. */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#clients.map((client) => client.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
