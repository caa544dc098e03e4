/** @file `faceid export`: a checkpoint as a SavedModel version, and as an ONNX file too. */

import { join } from "node:path";
import type { Command } from "commander";
import { requireFreeVersion } from "../next-version.ts";
import { addOptions, resolveOptions } from "../options.ts";
import { consoleLog } from "../process.ts";
import { EVERY_SETTING, modelSettings } from "../settings.ts";

interface Flags {
  readonly checkpoint: string;
  readonly onnx?: string;
  readonly measure: boolean;
}

async function run(flags: Flags & Record<string, unknown>): Promise<void> {
  const { checkpoint, onnx, measure, ...rest } = flags;
  const target = resolveOptions(modelSettings, { flags: rest, everyKey: EVERY_SETTING });
  const log = consoleLog();
  const { checkExport, exportModel } = await import("../../jobs/export.ts");
  await requireFreeVersion(join(target.savedModelPath, String(target.modelVersion)), "--model-version");
  await checkExport({ ...target, onnx });
  if (measure) log.info("measuring on held-out people, for the calibration record");
  const measured = measure
    ? await (await import("../../jobs/evaluate.ts")).evaluate(checkpoint, { kind: "checkpoint", log })
    : undefined;
  const folder = await exportModel({ checkpoint, measured, onnx, ...target });
  console.log(`saved model ${folder}`);
  if (onnx !== undefined) console.log(`onnx ${onnx}`);
}

export function exportCommand(command: Command): Command {
  command
    .requiredOption("--checkpoint <path>", "a run's folder or one of its .safetensors files", "runs/latest")
    .option("--onnx <file>", "write the signature serving_default as an ONNX file too")
    .option("--no-measure", "leave out the calibration record, which needs the run's dataset");
  return addOptions(command, modelSettings).action(run);
}
