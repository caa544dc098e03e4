/** @file `faceid evaluate`: the error rates of a checkpoint or an exported model. */
import type { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { groupText } from "../../evaluate/groups.ts";
import { openSetText } from "../../evaluate/open-set-text.ts";
import { foldText, reportText } from "../../evaluate/report-text.ts";
import { foldVerdict, verdict } from "../../evaluate/verdict.ts";
import { addGroups, addNumber, addOptions, addPairs, givenOptions } from "../options.ts";
import { consoleLog, measuringInterrupt, say } from "../process.ts";
import { measureProgress } from "../progress.ts";
import { EVERY_SETTING, measureSettings } from "../settings.ts";

interface Flags {
  readonly checkpoint?: string;
  readonly savedModel?: string;
  readonly pack?: string;
  readonly pairs?: string;
  readonly folds?: number[];
  readonly testPairs?: number;
  readonly identification?: true;
  readonly splits?: number;
  readonly groups?: string;
  readonly byQuality?: true;
  readonly json?: true;
}

function modelOf({ checkpoint, savedModel, pack }: Flags) {
  const named = [
    { model: checkpoint, kind: "checkpoint" },
    { model: savedModel, kind: "version" },
    { model: pack, kind: "pack" },
  ] as const;
  const [first, second] = named.filter(({ model }) => model !== undefined);
  if (first !== undefined && second === undefined) return { model: first.model!, kind: first.kind };
  const came = first === undefined ? "none" : "several";
  throw new FaceError("CONFIG_INVALID", `expected one model to measure, got ${came}`, {
    hint: "pass --checkpoint RUN, --saved-model DIR with a version's folder, or --pack NAME",
  });
}

/** Flags of the other way to measure would be ignored. */
function checkAlone(flags: Readonly<Record<string, unknown>>): void {
  const [name] = Object.entries(flags).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const isPairs = name !== "splits";
  throw new FaceError(
    "CONFIG_INVALID",
    isPairs ? `--identification searches people and takes no ${flag}` : `${flag} is for --identification`,
    { hint: isPairs ? "leave out one of them" : "add --identification, or leave it out" },
  );
}

async function run(flags: Flags & Record<string, unknown>): Promise<void> {
  const { pairs, folds, testPairs, groups, byQuality, identification, splits, json, ...others } = flags;
  const { checkpoint: _checkpoint, savedModel: _savedModel, pack: _pack, ...rest } = others;
  const { progress, ...data } = givenOptions(measureSettings, { flags: rest, everyKey: EVERY_SETTING });
  using _interrupt = measuringInterrupt();
  const { model, kind } = modelOf(flags);
  const options = {
    kind,
    data,
    log: consoleLog({ quiet: json === true }),
    onProgress: measureProgress(progress),
  };
  if (identification === true) {
    checkAlone({ pairs, folds, testPairs, groups, byQuality });
    const { evaluateIdentification } = await import("../../jobs/identification.ts");
    const report = await evaluateIdentification(model, { ...options, splits });
    if (json === true) console.log(JSON.stringify(report));
    else say(openSetText(report));
    return;
  }
  checkAlone({ splits });
  const { evaluate, evaluateFolds } = await import("../../jobs/evaluate.ts");
  if (pairs !== undefined) {
    if (groups !== undefined || byQuality === true) {
      throw new FaceError("CONFIG_INVALID", "--pairs runs the k-fold protocol, which has no groups", {
        hint: "leave out --pairs to break down the pairs of held-out people",
      });
    }
    const report = await evaluateFolds(model, pairs, { ...options, folds });
    if (json === true) console.log(JSON.stringify({ ...report, verdict: foldVerdict(report) }));
    else say(foldText(report));
    return;
  }
  const measured = await evaluate(model, { ...options, pairs: testPairs, groups, byQuality });
  const { report, calibration, leftOut, groups: grouped = [] } = measured;
  if (json === true) {
    console.log(
      JSON.stringify({ ...report, calibration, groups: measured.groups, leftOut, verdict: verdict(report) }),
    );
  } else say([reportText(report), ...grouped.map(groupText)].join("\n\n"));
}

export function evaluateCommand(command: Command): Command {
  command
    .option("--checkpoint <path>", "a run's folder or one of its .safetensors files")
    .option("--saved-model <folder>", "a version's folder of an exported model, SavedModel or ONNX")
    .option("--pack <name>", "a model pack, measured on whole photographs of all people of --dataset-path")
    .option("--identification", "measure searches among many people instead of pairs: DIR and FPIR")
    .option("--json", "print one JSON object and nothing else on standard output");
  addGroups(command);
  addNumber(command, {
    flag: "splits",
    help: "with --identification: how many times people are divided anew (default 5)",
    least: 1,
    most: 100,
  });
  addPairs(command, {
    pairs: "run its k-fold protocol instead of held-out people",
    testPairs: "pairs of held-out people to draw (default 4000)",
  });
  return addOptions(command, measureSettings).action(run);
}
