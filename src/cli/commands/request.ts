/** @file `faceid request`: asks a server whether two photographs show one person and prints its answer. */
import { access } from "node:fs/promises";
import { Command } from "commander";
import { ERRORS, FaceError } from "../../base/errors.ts";
import { requestGrpc } from "../../client/grpc.ts";
import { requestRest } from "../../client/rest.ts";

interface Flags {
  readonly url: string;
  readonly grpc?: string;
  readonly modelName: string;
}

/** Said before anything is sent. */
async function requireFile(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new FaceError("FILE_INVALID", `there is no file ${path}`, {
      hint: "pass the paths of two photographs",
      cause,
    });
  });
}

async function run(first: string, second: string, { url, grpc, modelName }: Flags): Promise<void> {
  await requireFile(first);
  await requireFile(second);
  const images = [first, second] as const;
  const answer =
    grpc === undefined
      ? await requestRest({ url, model: modelName }, images)
      : await requestGrpc({ address: grpc, model: modelName }, images);
  console.log(answer.text);
  if (answer.isError) process.exitCode = ERRORS.SERVER_ERROR.exit;
}

export function requestCommand(): Command {
  return new Command("request")
    .description("ask a server whether two photographs show one person")
    .argument("<image1>", "a photograph in any format")
    .argument("<image2>", "another one")
    .option("--url <url>", "address of the REST interface", "http://localhost:8501")
    .option("--grpc <host:port>", "ask over gRPC instead")
    .option("--model-name <name>", "name of the model", "faceid")
    .action(run);
}
