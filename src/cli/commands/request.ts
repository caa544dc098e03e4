/** @file `faceid request`: asks a server whether two photographs show one person and prints its answer. */
import { access } from "node:fs/promises";
import type { Command } from "commander";
import { ERRORS, FaceError } from "../../base/errors.ts";
import { request } from "../../client/request.ts";

interface Flags {
  readonly url: string;
  readonly grpc?: string;
  readonly modelName: string;
}

/** Checked before anything is sent. */
async function requireFile(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new FaceError("FILE_INVALID", `there is no file ${path}`, {
      hint: "pass the paths of two photographs",
      cause,
    });
  });
}

async function run(first: string, second: string, { url, grpc, modelName: model }: Flags): Promise<void> {
  await requireFile(first);
  await requireFile(second);
  const target = grpc === undefined ? { url, model } : { address: grpc, model };
  const answer = await request(target, [first, second]);
  console.log(answer.text);
  if (answer.isError) process.exitCode = ERRORS.SERVER_ERROR.exit;
}

export function requestCommand(command: Command): Command {
  return command
    .argument("<image1>", "a photograph in any format")
    .argument("<image2>", "another one")
    .option("--url <url>", "address of the REST interface", "http://localhost:8501")
    .option("--grpc <host:port>", "ask over gRPC instead")
    .option("--model-name <name>", "name of the model", "faceid")
    .action(run);
}
