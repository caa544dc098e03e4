/** @file What the commands that measure share: how many pairs, which folds. */
import { z } from "zod";
import { FaceError } from "../base/errors.ts";

const countSchema = z.coerce.number().int().min(10);

/**
 * The value of `--test-pairs`; nothing when it is left out.
 * @throws FaceError `CONFIG_INVALID` for anything but a whole number of at least 10.
 */
export function pairCount(text: string | undefined): { pairs?: number } {
  if (text === undefined) return {};
  const parsed = countSchema.safeParse(text);
  if (parsed.success) return { pairs: parsed.data };
  throw new FaceError(
    "CONFIG_INVALID",
    `--test-pairs: got ${JSON.stringify(text)}, expected a whole number of at least 10`,
  );
}

const foldsSchema = z.array(z.coerce.number().int().positive());

/**
 * The value of `--folds`; none when it is left out.
 * @throws FaceError `CONFIG_INVALID` for anything but whole numbers with commas between them.
 */
export function foldNumbers(text: string | undefined): number[] {
  if (text === undefined) return [];
  const parsed = foldsSchema.safeParse(text.split(","));
  if (parsed.success) return parsed.data;
  throw new FaceError(
    "CONFIG_INVALID",
    `--folds: got ${JSON.stringify(text)}, expected whole numbers from 1 with commas between them`,
  );
}
