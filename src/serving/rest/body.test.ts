/** @file Bodies of requests on a real socket: where they are put together. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { MemoryBudget } from "../memory-budget.ts";
import { RequestMemory } from "../request-memory.ts";
import { collectBody } from "./body.ts";

const MIB = 2 ** 20;

/** What a budget makes of a body that is sent in pieces. */
async function collected(
  pieces: readonly Uint8Array[],
  headers: Record<string, string | number>,
  mayShare = true,
): Promise<Uint8Array> {
  const budget = new MemoryBudget(16 * MIB);
  using memory = new RequestMemory(budget);
  const listener = createServer();
  await once(listener.listen(0), "listening");
  try {
    const arrived = once(listener, "request");
    const asking = request({ port: (listener.address() as AddressInfo).port, method: "POST", headers });
    asking.on("error", () => undefined);
    asking.flushHeaders();
    const [incoming] = (await arrived) as [IncomingMessage];
    const body = collectBody(incoming, { maxBytes: 8 * MIB, memory, mayShare });
    for (const piece of pieces) {
      asking.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    asking.end();
    const told = await body;
    expect(budget.totalBytes).toBeGreaterThanOrEqual(told.length);
    expect(budget.totalBytes).toBeLessThan(told.length * 1.2);
    return told;
  } finally {
    listener.closeAllConnections();
    listener.close();
  }
}

describe("a body", () => {
  const whole = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251);
  const pieces = [whole.subarray(0, 1), whole.subarray(1, 70_000), whole.subarray(70_000)];
  const isShared = (body: Uint8Array) => body.buffer instanceof SharedArrayBuffer;

  it("of a known length is put straight where its reader finds it", async () => {
    const body = await collected(pieces, { "content-length": whole.length });
    expect(Buffer.compare(body, whole)).toBe(0);
    expect(isShared(body)).toBe(true);
  });

  it.each<[string, Record<string, string | number>, readonly Uint8Array[], Uint8Array]>([
    ["in chunks of no known length", { "transfer-encoding": "chunked" }, pieces, whole],
    ["that is short", { "content-length": 1000 }, [whole.subarray(0, 1000)], whole.subarray(0, 1000)],
    [
      "that is packed",
      { "content-length": gzipSync(whole).length, "content-encoding": "gzip" },
      [gzipSync(whole)],
      whole,
    ],
  ])("%s has memory of its own", async (_, headers, sent, wanted) => {
    const body = await collected(sent, headers);
    expect(Buffer.compare(body, wanted)).toBe(0);
    expect(isShared(body)).toBe(false);
    expect(isShared(await collected(pieces, { "content-length": whole.length }, false))).toBe(false);
  });
});
