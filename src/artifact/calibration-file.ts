/** @file A calibration record in a file of its own, for a model that cannot hold it: a model pack with one's own thresholds. */
import { z } from "zod";
import { issueText } from "../base/check-options.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { readRegular, writeFileAtomic } from "../base/files.ts";
import { type CalibrationRecord, calibrationSchema } from "./calibration.ts";
import { parseJson } from "./json.ts";

const fileSchema = z.object({
  format: z.literal("faceid-calibration-1"),
  /** Name of the model, for people. */
  model: z.string(),
  /** SHA-256 of the file with its weights: thresholds of one model mean nothing for another. */
  digest: z.string(),
  calibration: calibrationSchema("cosine"),
});

const LARGEST = 2 ** 20;

/** Writes a record, atomically. */
export async function writeCalibrationFile(
  path: string,
  content: { readonly model: string; readonly digest: string; readonly calibration: CalibrationRecord },
): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify({ format: "faceid-calibration-1", ...content }, null, 2)}\n`);
}

/**
 * Reads a record.
 * @param model whose record it must be.
 * @throws FaceError `FILE_INVALID` for a file that is no record, `CONFIG_INVALID` for the record of another model.
 */
export async function readCalibrationFile(
  path: string,
  model: { readonly name: string; readonly digest: string },
): Promise<CalibrationRecord> {
  let content: unknown;
  try {
    content = parseJson((await readRegular(path, LARGEST)).toString("utf8"));
  } catch (error) {
    if (error instanceof FaceError) {
      throw new FaceError("FILE_INVALID", error.message, { hint: error.hint, cause: error });
    }
    throw new FaceError("FILE_INVALID", `cannot read the calibration ${path}: ${messageOf(error)}`, {
      hint: "write it with: faceid calibrate",
      cause: error,
    });
  }
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) {
    const where = issueText(parsed.error.issues[0]!, content);
    throw new FaceError("FILE_INVALID", `${path} is no calibration: ${where}`, {
      hint: "write it with: faceid calibrate",
    });
  }
  if (parsed.data.digest !== model.digest) {
    throw new FaceError(
      "CONFIG_INVALID",
      `${path} was measured for ${parsed.data.model} with other weights than those of ${model.name}`,
      { hint: "measure this model: faceid calibrate" },
    );
  }
  return parsed.data.calibration;
}
