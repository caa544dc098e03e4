/** @file LevelDB tables: round trips and damage. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { varintBytes, writeTable } from "../../../test/support/write-bundle.ts";
import { uint32Bytes } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";
import { readTable } from "./table.ts";

const text = (value: string) => new TextEncoder().encode(value);
const table = (entries: Record<string, string>) =>
  writeTable(new Map(Object.entries(entries).map(([key, value]) => [key, text(value)])));
const read = (bytes: Uint8Array) =>
  [...readTable(bytes, "table")].map(([key, value]) => [key, Buffer.from(value).toString()]);

/** One snappy block and an index that points to it. */
function snappyTable(): Uint8Array {
  const content = [0, 1, 1, 97, 65, 0, 0, 0, 0, 1, 0, 0, 0]; // a = A, restart at 0
  const packed = [content.length, (content.length - 1) << 2, ...content];
  const block = (bytes: number[], compression: number) => {
    const stored = Uint8Array.from([...bytes, compression]);
    return [...stored, ...uint32Bytes(masked(crc32c(stored)))];
  };
  const data = block(packed, 1);
  const meta = block([0, 0, 0, 0, 1, 0, 0, 0], 0);
  const handle = [...varintBytes(0), ...varintBytes(packed.length)];
  const index = block([0, 1, handle.length, 97, ...handle, 0, 0, 0, 0, 1, 0, 0, 0], 0);
  const footer = [
    ...varintBytes(data.length),
    8,
    ...varintBytes(data.length + meta.length),
    index.length - 5,
  ];
  const padding = new Array<number>(40 - footer.length).fill(0);
  const magic = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
  return Uint8Array.from([...data, ...meta, ...index, ...footer, ...padding, ...magic]);
}

describe("tables", () => {
  it("come back in the order of their keys", () => {
    expect(read(table({ b: "2", "": "head", a: "1" }))).toEqual([
      ["", "head"],
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  it("come back whatever they hold, in many blocks too", () => {
    const entry = fc.tuple(fc.string(), fc.uint8Array({ maxLength: 2000 }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60 }), fc.integer({ min: 1, max: 500 }), (entries, repeat) => {
        const wanted = new Map(entries.map(([key, value], i) => [`${key}${i % repeat}`, value]));
        const got = readTable(writeTable(wanted), "table");
        expect(new Set(got.keys())).toEqual(new Set(wanted.keys()));
        for (const [key, value] of wanted) expect(Buffer.compare(got.get(key)!, value)).toBe(0);
      }),
    );
    const large = new Map(Array.from({ length: 500 }, (_, i) => [`key ${i}`, new Uint8Array(2000).fill(i)]));
    expect([...readTable(writeTable(large), "table").keys()]).toEqual([...large.keys()].sort());
  });

  it("may have blocks packed by snappy", () => {
    expect(read(snappyTable())).toEqual([["a", "A"]]);
  });

  it("are refused when any byte that matters is changed", () => {
    const good = table({ alpha: "1", beta: "2", gamma: "3" });
    const wanted = read(good);
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 0x10;
      let got: unknown;
      try {
        got = read(bad);
      } catch (error) {
        expect(error).toMatchObject({ code: "MODEL_INVALID" });
        continue;
      }
      // Padding and the handle of the empty metaindex do not matter.
      expect(got).toEqual(wanted);
    }
  });

  it("are refused when cut off anywhere", () => {
    const good = table({ alpha: "1", beta: "2" });
    for (let size = 0; size < good.length; size++) {
      expect(() => read(good.subarray(0, size))).toThrow("table is damaged");
    }
  });
});
