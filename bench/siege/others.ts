/** @file Others who ask a server during an attack, until standard input ends: for health, and for a prediction over each protocol. */
import { setTimeout as delay } from "node:timers/promises";
import { DataType } from "../../src/proto/tensorflow/tensor_pb.ts";
import { askGrpc, askRest, contentOf, predictOf } from "../../test/support/attacks.ts";

const PAUSE_MS = 20;
const [restPort, grpcPort] = process.argv.slice(2).map(Number) as [number, number];
const seen = { longestMs: 0, asked: 0, lost: 0 };
let isOver = false;
process.stdin.on("end", () => {
  isOver = true;
});
process.stdin.resume();

async function repeat(ask: () => Promise<boolean>): Promise<void> {
  while (!isOver) {
    seen.asked++;
    if (!(await ask().catch(() => false))) seen.lost++;
    await delay(PAUSE_MS);
  }
}

async function health(): Promise<boolean> {
  const startedMs = performance.now();
  const { status } = await fetch(`http://127.0.0.1:${restPort}/healthz`);
  // The first one opens the connection.
  if (seen.asked > 10) seen.longestMs = Math.max(seen.longestMs, performance.now() - startedMs);
  return status === 200;
}

const example = predictOf("half", contentOf(DataType.DT_FLOAT, [1, 1], 4));
await Promise.all([
  repeat(health),
  repeat(
    async () => (await askRest(restPort, "/v1/models/half:predict", '{"instances": [[2]]}')).status === 200,
  ),
  repeat(async () => (await askGrpc(grpcPort, "PredictionService/Predict", example)).status === 0),
]);
process.stdout.write(JSON.stringify(seen));
