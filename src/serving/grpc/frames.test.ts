/** @file Frames however their bytes are cut, and large messages that are joined in steps. */
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { join } from "../join.ts";
import { toStatusError } from "../status.ts";
import { Frames, frameOf, takeFrame } from "./frames.ts";

const never = () => false;

function framed(flag: number, message: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("Frames", () => {
  it("reads the same messages however the data are cut", async () => {
    const messages = fc.array(fc.record({ flag: fc.nat(1), message: fc.uint8Array({ maxLength: 40 }) }));
    await fc.assert(
      fc.asyncProperty(
        messages,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (sent, cuts) => {
          const data = Buffer.concat(sent.map(({ flag, message }) => framed(flag, message)));
          const frames = new Frames(40);
          const headers: Buffer[] = [];
          for (let at = 0, i = 0; at < data.length; i++) {
            const length = cuts[i % cuts.length]!;
            headers.push(...frames.write(data.subarray(at, at + length)));
            at += length;
          }
          const read = headers.map(async (header) => {
            const { pieces, length } = frameOf(header);
            const message = await join(pieces, length, never);
            return { flag: header.readUInt8(0), message: new Uint8Array(message!) };
          });
          expect(await Promise.all(read)).toEqual(sent);
        },
      ),
    );
  });

  it("refuses a message by its header, before any of it comes", () => {
    const frames = new Frames(1000);
    const header = framed(0, new Uint8Array(1001)).subarray(0, 5);
    expect(frames.write(header.subarray(0, 4))).toEqual([]);
    expect(() => frames.write(header.subarray(4))).toThrow("Received message larger than max (1001 vs 1000)");
    expect(() => frameOf(Buffer.alloc(5))).toThrow(/internal/);
  });

  it("gives a message away once", () => {
    const [header] = new Frames(100).write(Buffer.from([0, 0, 0, 0, 2, 7, 8]));
    expect(takeFrame(header!).length).toBe(2);
    expect(() => takeFrame(header!)).toThrow(/internal/);
  });
});

describe("Frames with a limit on the first field", () => {
  const named = (length: number) =>
    framed(0, Buffer.concat([Uint8Array.of(0x0a, (length & 127) | 128, length >> 7), Buffer.alloc(length)]));

  it("refuse a long name by its first bytes, and drop the rest", () => {
    const frames = new Frames(2 ** 20, { field: 1, maxBytes: 1000 });
    const message = named(1001);
    expect(() => frames.write(message.subarray(0, 100))).toThrow(
      "The request holds more than 1000 bytes in a name.",
    );
    expect(frames.isRefused).toBe(true);
    expect(frames.write(message.subarray(100))).toEqual([]);
  });

  it("take others whole", () => {
    const frames = new Frames(2 ** 20, { field: 1, maxBytes: 1000 });
    const other = Buffer.from(named(1001));
    other[5] = 0x12;
    const compressed = Buffer.from(named(1001));
    compressed[0] = 1;
    for (const message of [named(1000), other, compressed]) {
      expect(frames.write(message).map((header) => frameOf(header).length)).toEqual([message.length - 5]);
    }
  });
});

describe("join", () => {
  const pieces = () => Array.from({ length: 50 }, (_, i) => new Uint8Array(100_000).fill(i));

  it("gives others turns while it copies, in a buffer of its own, and lets the pieces go", async () => {
    const parts: (Uint8Array | undefined)[] = pieces();
    let turns = 0;
    let isDone = false;
    const counting = (async () => {
      for (; !isDone; turns++) await nextTurn();
    })();
    const whole = (await join(parts, 5_000_000, never))!;
    isDone = true;
    await counting;
    expect(turns).toBeGreaterThanOrEqual(4);
    expect(Buffer.compare(whole, Buffer.concat(pieces()))).toBe(0);
    expect(whole.buffer.byteLength).toBe(5_000_000);
    expect(parts.every((part) => part === undefined)).toBe(true);
  });

  it("stops when nobody waits", async () => {
    let asked = 0;
    expect(await join(pieces(), 5_000_000, () => ++asked > 2)).toBeUndefined();
    expect(asked).toBe(3);
  });

  it("fails as without memory for more than there is, and others go on", async () => {
    const failure = await Promise.resolve(join([], 2 ** 53 - 1, never)).catch((error: unknown) => error);
    expect(toStatusError(failure)).toMatchObject({ status: "RESOURCE_EXHAUSTED" });
    expect((await join(pieces(), 5_000_000, never))?.length).toBe(5_000_000);
  });
});

describe("toStatusError", () => {
  it.each<[string, () => unknown]>([
    ["an array", () => new Float64Array(2 ** 50)],
    ["a buffer", () => new ArrayBuffer(2 ** 53 - 1)],
    ["shared memory", () => new SharedArrayBuffer(2 ** 53 - 1)],
    ["a text", () => "ab".repeat(2 ** 30)],
    ["a list", () => new Array(-1)],
  ])("says that there is no memory for %s", (_, allocate) => {
    let error: unknown;
    try {
      allocate();
    } catch (caught) {
      error = caught;
    }
    expect(toStatusError(error)).toMatchObject({ status: "RESOURCE_EXHAUSTED", cause: error });
    expect(toStatusError(new Error("a bug"))).toMatchObject({ status: "INTERNAL" });
  });
});
