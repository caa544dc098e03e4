/** @file `faceid export`: a checkpoint becomes a SavedModel version, and an ONNX file where asked for. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { exportModel } from "../../jobs/export.ts";
import { measureRun } from "../../jobs/measure.ts";
import { BEST_CHECKPOINT } from "../../train/listeners/checkpoints.ts";
import { consoleLog } from "../log.ts";
import { addOptions, resolveOptions } from "../options.ts";
import { EVERY_SETTING, modelSettings } from "../settings.ts";

interface Flags {
  readonly checkpoint: string;
  readonly onnx?: string;
  readonly measure: boolean;
}

async function run(flags: Flags & Record<string, unknown>): Promise<void> {
  const { checkpoint, onnx, measure, ...rest } = flags;
  const target = resolveOptions(modelSettings, { flags: rest, everyKey: EVERY_SETTING });
  const about = await stat(checkpoint).catch(() => undefined);
  const file = about?.isDirectory() === true ? join(checkpoint, BEST_CHECKPOINT) : checkpoint;
  const log = consoleLog();
  if (measure) log.info("measuring on held-out people, for the thresholds that travel with the model");
  const measured = measure ? await measureRun({ checkpoint: file, log }) : undefined;
  const folder = await exportModel({ checkpoint: file, measured, onnx, ...target });
  console.log(`saved model ${folder}`);
  if (onnx !== undefined) console.log(`onnx ${onnx}`);
}

export function exportCommand(): Command {
  const command = new Command("export")
    .description("freeze a checkpoint and write it as a SavedModel")
    .requiredOption("--checkpoint <path>", "a run's folder or one of its .safetensors files", "runs/latest")
    .option("--onnx <file>", "write the pair signature as an ONNX file too")
    .option("--no-measure", "leave out the calibration record, which takes the run's dataset");
  return addOptions(command, modelSettings).action(run);
}
