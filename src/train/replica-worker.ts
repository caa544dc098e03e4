/** @file The worker thread of one replica: opens it, then runs commands one after the other. */
import { parentPort, type TransferListItem, workerData } from "node:worker_threads";
import { type ErrorCode, FaceError, messageOf } from "../base/errors.ts";
import { abortReduce } from "./all-reduce.ts";
import { Replica, type ReplicaSettings } from "./replica.ts";

const settings = workerData as ReplicaSettings;

/** The methods of a replica that the engine calls. */
export type Method = "step" | "load" | "state" | "embed" | "compare";

/** A call of a method, or `close`. */
export type Command =
  | { [M in Method]: { readonly method: M; readonly args: Parameters<Replica[M]> } }[Method]
  | "close";

export type Reply =
  | { readonly answer: unknown }
  | { readonly failure: { readonly code: ErrorCode; readonly message: string } };

function send(reply: Reply, transfer: TransferListItem[] = []): void {
  parentPort?.postMessage(reply, transfer);
}

function fail(error: unknown): void {
  // The others must not wait for gradients that will never come.
  if (settings.buffer !== undefined) abortReduce(settings.buffer);
  send({
    failure: { code: error instanceof FaceError ? error.code : "INTERNAL", message: messageOf(error) },
  });
}

async function serve(): Promise<void> {
  const replica = await Replica.open(settings);
  let queue = Promise.resolve();
  parentPort?.on("message", (command: Command) => {
    queue = queue.then(async () => {
      try {
        if (command === "close") {
          await replica.close();
          parentPort?.close();
          return;
        }
        const method = replica[command.method] as (...args: unknown[]) => unknown;
        const answer = await method.apply(replica, command.args);
        send({ answer }, answer instanceof Float32Array ? [answer.buffer as ArrayBuffer] : []);
      } catch (error) {
        fail(error);
      }
    });
  });
  send({ answer: undefined });
}

serve().catch(fail);
