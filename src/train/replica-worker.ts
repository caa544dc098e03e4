/** @file The worker thread of one replica: opens it, then runs commands one after the other. */
import { parentPort, type TransferListItem, workerData } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { abortReduce } from "./all-reduce.ts";
import type { Answers, Command, ReplicaSettings, Reply } from "./engine-messages.ts";
import { Replica } from "./replica.ts";

const settings = workerData as ReplicaSettings;

function dispatch(
  replica: Replica,
  command: Command,
): Promise<Answers[Command["kind"]]> | Answers[Command["kind"]] {
  switch (command.kind) {
    case "step":
      return replica.step(command);
    case "load":
      replica.load(command.state);
      return undefined;
    case "state":
      return replica.state();
    case "embed":
      return replica.embed(command.images, command.count);
    case "compare":
      return replica.compare(command.anchors, command.verifications, command.count);
  }
}

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
  parentPort?.on("message", (command: Command | "close") => {
    queue = queue.then(async () => {
      try {
        if (command === "close") {
          await replica.close();
          parentPort?.close();
          return;
        }
        const answer = await dispatch(replica, command);
        send({ answer }, answer instanceof Float32Array ? [answer.buffer as ArrayBuffer] : []);
      } catch (error) {
        fail(error);
      }
    });
  });
  send({ answer: undefined });
}

serve().catch(fail);
