/** @file Memory is lent to one piece of work at a time, and then again. */
import { expect, it } from "vitest";
import { BufferPool } from "./buffers.ts";

const itself = async (memory: ArrayBuffer) => memory;

it("lends the same memory again, also to work that takes less", async () => {
  const pool = new BufferPool();
  const first = await pool.lend(1000, itself);
  expect(first.byteLength).toBe(1000);
  expect(await pool.lend(1000, itself)).toBe(first);
  expect(await pool.lend(10, itself)).toBe(first);
  expect(await pool.lend(1001, itself)).not.toBe(first);
});

it("lends other memory while the first is in use, and takes it back after an error", async () => {
  const pool = new BufferPool();
  const seen: ArrayBuffer[] = [];
  const failed = pool.lend(8, async (outer) => {
    seen.push(outer, await pool.lend(8, itself));
    throw new Error("broken");
  });
  await expect(failed).rejects.toThrow("broken");
  expect(seen[0]).not.toBe(seen[1]);
  const again = [await pool.lend(8, itself), await pool.lend(8, itself)];
  expect(seen).toEqual(expect.arrayContaining(again));
});

it("keeps neither large memory nor memory that has moved to another thread", async () => {
  const pool = new BufferPool();
  const large = await pool.lend(2 ** 24, itself);
  expect(await pool.lend(2 ** 24, itself)).not.toBe(large);
  const moved = await pool.lend(16, async (memory) => {
    structuredClone(memory, { transfer: [memory] });
    return memory;
  });
  expect(moved.byteLength).toBe(0);
  expect((await pool.lend(16, itself)).byteLength).toBe(16);
});
