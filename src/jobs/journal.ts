/** @file A file of JSON lines that grows while a job runs, so that a job that was killed continues where it was. */
import { appendFile, readFile, rm, truncate } from "node:fs/promises";
import { FaceError, systemCode } from "../base/errors.ts";
import { writeError, writeFileAtomic } from "../base/files.ts";

/** Records of one job. A line that a crash cut off is dropped when the journal is opened again. */
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
    const bytes = await readFile(path).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    });
    const whole = bytes?.subarray(0, bytes.lastIndexOf(0x0a) + 1);
    if (whole === undefined || whole.length === 0) {
      await writeFileAtomic(path, `${head}\n`);
      return new Journal<T>(path, []);
    }
    if (whole.length < bytes!.length) await truncate(path, whole.length);
    const [first, ...lines] = whole.toString("utf8").trimEnd().split("\n");
    if (first !== head) {
      throw new FaceError("FILE_INVALID", `${path} belongs to a run with other settings or another model`, {
        hint: "repeat that run's settings to continue it, or delete the file",
      });
    }
    try {
      return new Journal<T>(
        path,
        lines.map((line) => JSON.parse(line) as T),
      );
    } catch (error) {
      throw new FaceError("FILE_INVALID", `${path} is damaged`, { hint: "delete it", cause: error });
    }
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
