/** @file Variable bundles: what is written can be read, and damage is refused. */
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { encodeBundleIndex, writeBundle } from "../../../test/support/write-bundle.ts";
import { float32, int64, type Tensor } from "../../base/tensor.ts";
import { Bundle } from "./bundle.ts";
import { parseBundleIndex } from "./bundle-index.ts";

const words = (...list: string[]): Tensor<"string"> => ({
  dtype: "string",
  shape: [list.length],
  data: list.map((word) => Uint8Array.from(Buffer.from(word))),
});

const TENSORS = new Map<string, Tensor>([
  ["kernel", float32([2, 3], [1, 2, 3, 4, 5, 6])],
  ["step", int64([], [7])],
  ["names", words("alpha", "", "a longer one, of more than 127 bytes: ".repeat(6))],
  ["flags", { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) }],
  ["half", { dtype: "float16", shape: [1], data: Uint16Array.of(0x3c00) }],
  ["nothing", float32([0, 4], [])],
]);

async function written(): Promise<{ prefix: string; data: string; index: string }> {
  const prefix = join(await temporaryFolder(), "variables", "variables");
  await writeBundle(prefix, TENSORS);
  return { prefix, data: `${prefix}.data-00000-of-00001`, index: `${prefix}.index` };
}

const readAll = async (prefix: string) => (await Bundle.open(prefix)).read(TENSORS.keys());

describe("tensor bundles", () => {
  it("come back as they were", async () => {
    const { prefix } = await written();
    const got = await readAll(prefix);
    expect(new Set(got.keys())).toEqual(new Set(TENSORS.keys()));
    for (const [key, value] of TENSORS) expect(got.get(key), key).toEqual(value);
  });

  it("give single tensors and what is known of them", async () => {
    const bundle = await Bundle.open((await written()).prefix);
    expect(bundle.entry("kernel")).toMatchObject({ dtype: "float32", shape: [2, 3], offset: 0, size: 24 });
    expect([...(await bundle.read(["step"])).keys()]).toEqual(["step"]);
    expect(() => bundle.entry("missing")).toThrow("has no tensor missing");
  });

  it("are refused when a byte of the data has changed", async () => {
    const { prefix, data } = await written();
    const good = await readFile(data);
    for (let at = 0; at < good.length; at += 3) {
      const bad = Buffer.from(good);
      bad[at]! ^= 4;
      await writeFile(data, bad);
      await expect(readAll(prefix)).rejects.toMatchObject({ code: "MODEL_INVALID" });
    }
  });

  it("are refused when a shard is cut off or missing", async () => {
    const { prefix, data } = await written();
    await truncate(data, 20);
    await expect(readAll(prefix)).rejects.toThrow("is cut off: kernel ends at 24, the file at 20");
    await rm(data);
    await expect(readAll(prefix)).rejects.toMatchObject({ code: "MODEL_INVALID", hint: expect.any(String) });
  });

  it("are refused without memory being taken when an entry claims impossible sizes", async () => {
    const { prefix, index } = await written();
    const entry = { dtype: "float32", shard: 0, offset: 0, checksum: 0 } as const;
    const claims = [
      { ...entry, shape: [2 ** 31, 2 ** 21], size: 2 ** 52 + 2 ** 53 },
      { ...entry, shape: [2 ** 40], size: 2 ** 42 },
      { ...entry, shape: [2 ** 40], size: 4 },
      { ...entry, shape: [1], offset: 2 ** 50, size: 4 },
      { ...entry, dtype: "string", shape: [2 ** 40], size: 24 } as const,
    ];
    for (const claim of claims) {
      await writeFile(index, encodeBundleIndex(new Map([["kernel", claim]])));
      const reading = Bundle.open(prefix).then((bundle) => bundle.read(["kernel"]));
      await expect(reading).rejects.toMatchObject({ code: "MODEL_INVALID" });
    }
  });

  it("are refused when two tensors share bytes", async () => {
    const { prefix, index } = await written();
    const entry = (await Bundle.open(prefix)).entry("kernel");
    await writeFile(
      index,
      encodeBundleIndex(
        new Map([
          ["a", entry],
          ["b", entry],
        ]),
      ),
    );
    const bundle = await Bundle.open(prefix);
    await expect(bundle.read(["a", "b"])).rejects.toThrow("overlaps");
  });

  it("never do anything but be read or be refused, however the index is changed", async () => {
    const index = await readFile((await written()).index);
    const change = fc.record({ at: fc.nat(index.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bad = Buffer.from(index);
        for (const { at, to } of changes) bad[at] = to;
        try {
          const { keys, entry } = parseBundleIndex(bad, "index");
          for (const key of keys) entry(key);
        } catch (error) {
          expect(error).toMatchObject({ name: "FaceError" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
