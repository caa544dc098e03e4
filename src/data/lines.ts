/** @file The lines of a file, one at a time: as one text a file may have half a gigabyte, and a longer one fails. */
import { createReadStream } from "node:fs";
import { stat, truncate } from "node:fs/promises";
import { FaceError, systemCode } from "../base/errors.ts";
import { requireRegular } from "../base/files.ts";

const NEWLINE = 0x0a;
/** A longer line is no line of ours, and would not fit into a text. */
const LONGEST_LINE = 2 ** 28;

const tooLong = (path: string, hint: string) =>
  new FaceError("FILE_INVALID", `${path}: a line is longer than ${LONGEST_LINE} bytes`, { hint });

/**
 * The lines of a file without their ends.
 * @param hint what to do about a file that has no such lines.
 * @throws the system's error; FaceError `FILE_INVALID` for a line of 256 MB.
 */
export async function* linesOf(path: string, hint: string): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  await requireRegular(path);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, end)]);
      [parts, size, from] = [[], 0, end + 1];
    }
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > LONGEST_LINE) throw tooLong(path, hint);
  }
  if (size > 0) yield Buffer.concat(parts);
}

/**
 * The lines of a file that programs lengthen, none where there is no file. A line that was cut off where a program was killed is
 * dropped from the file, so that the next one begins a line of its own.
 * @throws as `linesOf`.
 */
export async function* wholeLinesOf(path: string): AsyncGenerator<Buffer> {
  const about = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (about === undefined) return;
  let end = 0;
  for await (const line of linesOf(path, "delete it")) {
    const next = end + line.length + 1;
    if (next > about.size) {
      await truncate(path, end);
      return;
    }
    end = next;
    yield line;
  }
}
