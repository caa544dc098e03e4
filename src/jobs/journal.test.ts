/** @file A journal that is long, cut off or damaged: what is whole in it is not computed again. */
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { Journal } from "./journal.ts";

const JOB = { journal: "test", model: "m" };
const file = async () => join(await temporaryFolder(), "out.part");
const open = (path: string) => Journal.open<{ readonly path: string }>(path, JOB);

it("drops a line that was cut off and begins a new one after it", async () => {
  const path = await file();
  await (await open(path)).append([{ path: "a" }, { path: "b" }]);
  appendFileSync(path, '{"path":"cut');
  const again = await open(path);
  expect(again.records).toEqual([{ path: "a" }, { path: "b" }]);
  await again.append([{ path: "c" }]);
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(5);
  expect((await open(path)).records).toHaveLength(3);
});

it("begins where there is nothing but the beginning of its head, and refuses another job's", async () => {
  const path = await file();
  writeFileSync(path, '{"journal":"te');
  expect((await open(path)).records).toEqual([]);
  await expect(Journal.open(path, { journal: "other" })).rejects.toMatchObject({ code: "FILE_INVALID" });
});

it("keeps what stands before and after damaged lines, also in a file that is too long for one text", async () => {
  const path = await file();
  await (await open(path)).append([{ path: "a" }]);
  let { length } = readFileSync(path);
  // Holes read as zeros, as files do after a loss of power, and take no disk.
  for (let i = 0; i < 3; i++) {
    length += 180_000_000;
    truncateSync(path, length);
    appendFileSync(path, "\n");
    length += 1;
  }
  appendFileSync(path, '{"path":"b"}\n');
  expect((await open(path)).records).toEqual([{ path: "a" }, { path: "b" }]);
});
