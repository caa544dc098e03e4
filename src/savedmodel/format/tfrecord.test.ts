/** @file Record files. */
import { describe, expect, it } from "vitest";
import { readRecords, writeRecords } from "./tfrecord.ts";

describe("TFRecord files", () => {
  const records = ["", "one", "two two"].map((text) => Uint8Array.from(Buffer.from(text)));

  it("come back as they were", () => {
    expect(readRecords(writeRecords(records), "file").map((record) => Uint8Array.from(record))).toEqual(
      records,
    );
  });

  it("are refused when cut off or changed anywhere", () => {
    const good = writeRecords(records.slice(1));
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 1;
      expect(() => readRecords(bad, "file")).toThrow("file is damaged");
    }
    expect(() => readRecords(good.subarray(0, good.length - 1), "file")).toThrow("ends too early");
  });
});
