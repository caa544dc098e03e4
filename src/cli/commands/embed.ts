/** @file `faceid embed`: the embeddings of a folder's photographs as Parquet, NumPy or JSON lines. */
import type { Command } from "commander";
import { FaceError } from "../../base/errors.ts";
import { counted } from "../../base/log.ts";
import type { FaceChoice } from "../../faces/choose.ts";
import type { Shard } from "../../jobs/embed.ts";
import { faceOption } from "../options.ts";
import { say } from "../process.ts";
import { leftOutText, withProgress } from "./left-out.ts";

/** Kubernetes gives each pod of an indexed Job its number here. */
const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";

interface Flags {
  readonly output: string;
  readonly model?: string;
  readonly face: FaceChoice;
  readonly strict?: true;
  readonly shard?: Shard;
  readonly json?: true;
}

/** `2/8`, or `8` where the environment has the index. */
function parseShard(text: string): Shard {
  const [, given, total] = /^(?:(\d{1,6})\/)?(\d{1,6})$/.exec(text) ?? [];
  const index = given ?? process.env[INDEX_VARIABLE];
  const shard = { index: Number(index), count: Number(total) };
  if (index !== undefined && /^\d+$/.test(index) && shard.count > 0 && shard.index < shard.count)
    return shard;
  throw new FaceError(
    "CONFIG_INVALID",
    given === undefined && total !== undefined
      ? `--shard ${text}: ${INDEX_VARIABLE} is ${JSON.stringify(index ?? "")}, expected a number from 0 to ${Number(total) - 1}`
      : `--shard: got ${JSON.stringify(text)}, expected I/N with I from 0 to N-1`,
    {
      hint: `four processes take 0/4, 1/4, 2/4 and 3/4; --shard 4 takes the first number from ${INDEX_VARIABLE}`,
    },
  );
}

async function run(folder: string, { json, ...flags }: Flags): Promise<void> {
  const words = { what: "embedded", kept: "embeddings" };
  const { embedFolder } = await import("../../jobs/embed.ts");
  const result = await withProgress(json === true, words, (shared) =>
    embedFolder(folder, { ...flags, ...shared }),
  );
  if (json === true) {
    console.log(JSON.stringify(result));
    return;
  }
  const { rows, kept, leftOut, files } = result;
  say(
    `${counted(rows, "embedding")}${kept === 0 ? "" : `, ${counted(kept, "photograph")} done already`}: ${files.join(", ")}`,
  );
  if (leftOut.length > 0) say(leftOutText(leftOut, files.at(-1)!));
}

export function embedCommand(command: Command): Command {
  return command
    .argument("<folder>", "folder of photographs, or of one folder per person")
    .requiredOption("--output <file>", "file to write, ending in .parquet, .npy or .jsonl")
    .option(
      "--model <name>",
      "a model pack, or the folder of an exported model (default: the pack opencv-sface)",
    )
    .addOption(faceOption("--face <which>", "face meant in a photograph with several").default("largest"))
    .option("--strict", "leave out faces that are too small, blurred, turned away or badly lit")
    .option("--shard <i/n>", `do only part i of n, from 0; with n alone, i is ${INDEX_VARIABLE}`, parseShard)
    .option("--json", "print one JSON object")
    .action(run);
}
