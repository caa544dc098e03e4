/** @file A file of JSON lines that grows while a job runs, so that a job that was killed continues where it was. */
import { appendFile, rm } from "node:fs/promises";
import { FaceError } from "../base/errors.ts";
import { writeError, writeFileAtomic } from "../base/files.ts";
import { wholeLinesOf } from "../data/lines.ts";

/** A line's record; undefined for a line that a full disk or a loss of power has damaged, whose work is done again. */
function recordOf<T>(line: Buffer): T | undefined {
  try {
    return JSON.parse(line.toString("utf8")) as T;
  } catch {
    return undefined;
  }
}

/** Records of one job. A line that a crash cut off or damaged is dropped when the journal is opened again. */
export class Journal<T> {
  readonly path: string;
  /** Of earlier runs of the same job. */
  readonly records: readonly T[];

  private constructor(path: string, records: readonly T[]) {
    this.path = path;
    this.records = records;
  }

  /**
   * Opens or begins a journal.
   * @param job what the records depend on, as plain data.
   * @throws FaceError `FILE_INVALID` when it belongs to another job or cannot be read.
   */
  static async open<T>(path: string, job: object): Promise<Journal<T>> {
    const head = JSON.stringify(job);
    let found: string | undefined;
    const records: T[] = [];
    for await (const line of wholeLinesOf(path)) {
      if (found === undefined) {
        found = line.toString("utf8");
        if (found !== head) {
          throw new FaceError(
            "FILE_INVALID",
            `${path} belongs to a run with other settings or another model`,
            {
              hint: "repeat that run's settings to continue it, or delete the file",
            },
          );
        }
      } else {
        const record = recordOf<T>(line);
        if (record !== undefined) records.push(record);
      }
    }
    if (found === undefined) await writeFileAtomic(path, `${head}\n`);
    return new Journal<T>(path, records);
  }

  /** Adds records with one write. */
  async append(records: readonly T[]): Promise<void> {
    try {
      await appendFile(this.path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Deletes the file when the job is done. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
