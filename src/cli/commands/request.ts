/** @file `faceid request`: asks a server whether two photographs show one person and prints its answer. */
import { access } from "node:fs/promises";
import type { Command } from "commander";
import { ERRORS, FaceError } from "../../base/errors.ts";
import { shown } from "../../base/log.ts";
import type { FacePicks } from "../../faces/choose.ts";
import { addNumber, farFlag, pairFaceOption, requireText } from "../options.ts";
import { commandText, complain } from "../process.ts";

interface Flags {
  readonly url: string;
  readonly grpc?: string;
  readonly modelName: string;
  readonly verify?: true;
  readonly far?: number;
  readonly face?: FacePicks;
  readonly strict?: true;
  readonly apiKey?: string;
}

const DEFAULT_URL = "http://localhost:8501";
const DEFAULT_MODEL = "faceid";
const PACK = "opencv-sface";

/** Checked before anything is sent. */
async function requireFile(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new FaceError("FILE_INVALID", `there is no file ${path}`, {
      hint: "pass the paths of two photographs",
      cause,
    });
  });
}

/** Not by the option's `env`, which would print it in the help. */
const keyOfEnvironment = () => process.env.FACEID_API_KEY || undefined;

/** The next step towards finding faces. The answer has warnings if the model reads crops and the server has no detector. */
const wayToFaces = (model: string, answer: string): string =>
  /"warnings"/.test(answer)
    ? "whole photographs take a server with --pack"
    : `${model} does not say how a face lies in its images, so send crops like those that it was trained on, or ask a pack`;

/** Stands for a port in a command that is completed by hand. */
const REST_PORT = "REST_PORT";

/**
 * The REST interface of the server that was asked: beside the usual port of gRPC is REST's usual one; beside any other one is
 * a port that nothing here tells.
 */
function restAddress({ url, grpc }: Flags, isGiven: boolean): string {
  if (grpc === undefined || isGiven) return url;
  const [host, port] = [grpc.replace(/^dns:\/*/, "").replace(/:\d+$/, ""), /:(\d+)$/.exec(grpc)?.[1]];
  return `http://${host}:${port === "8500" ? "8501" : REST_PORT}`;
}

/** The command that asks for the same with faces looked for; `:verify` is REST's. @param isGiven whether `--url` was passed. */
function verifyLine(images: readonly string[], flags: Flags, isGiven: boolean): string {
  const [address, { modelName }] = [restAddress(flags, isGiven), flags];
  const command = commandText(
    "request",
    ...images,
    "--verify",
    ...(address === DEFAULT_URL ? [] : ["--url", address]),
    ...(modelName === DEFAULT_MODEL ? [] : ["--model-name", modelName]),
  );
  return address.endsWith(REST_PORT) ? `${command}, with the --rest_api_port of the server` : command;
}

/** Where no address was given, the usual one may be the wrong one. */
function withWayToServer(error: unknown): unknown {
  if (!(error instanceof FaceError && /^no server answers/.test(error.message))) return error;
  return new FaceError(error.code, error.message, {
    hint: `${error.hint}\n  or pass the address of one that runs elsewhere by --url`,
    cause: error,
  });
}

async function run(first: string, second: string, flags: Flags, command: Command): Promise<void> {
  const isDefault = command.getOptionValueSource("url") === "default";
  const { url, grpc, modelName: model, verify, apiKey = keyOfEnvironment(), ...wish } = flags;
  requireText("--url", url, "an address such as http://localhost:8501");
  requireText("--grpc", grpc, "an address such as localhost:8500");
  requireText("--model-name", model, "a model's name");
  await requireFile(first);
  await requireFile(second);
  const asksVerify = verify === true || Object.keys(wish).length > 0;
  if (asksVerify && grpc !== undefined) {
    throw new FaceError("CONFIG_INVALID", "--verify, --far, --face and --strict are asked over REST", {
      hint: "leave out --grpc, and pass --url where REST is not on localhost:8501",
    });
  }
  const common = { model, ...(apiKey !== undefined && { apiKey }) };
  const target =
    grpc === undefined
      ? { ...common, url, verify: asksVerify ? wish : undefined }
      : { ...common, address: grpc };
  const { request } = await import("../../client/request.ts");
  const answer = await request(target, [first, second]).catch((error: unknown) => {
    throw isDefault && grpc === undefined ? withWayToServer(error) : error;
  });
  // Strings of any server; what would move the cursor is written as JSON writes it.
  console.log(shown(answer.text));
  if (answer.isError && /Servable not found/.test(answer.text)) {
    const remedy =
      model === PACK
        ? "a pack is served where no other model is, and finds faces for the others; name the model that is served with --model-name"
        : `pass --model-name with the name that it serves; of a pack alone it is --model-name ${PACK}`;
    complain(`  the server has no model ${model}: ${remedy}`);
  }
  if (answer.isError && /\bthe (anchor|verification)\b/.test(answer.text)) {
    complain(`  the anchor is ${shown(first)}, the verification ${shown(second)}`);
  }
  if (!answer.isError && answer.warnings !== undefined) {
    for (const warning of answer.warnings) complain(`warning: ${shown(warning)}`);
    complain(
      `  a server with --pack finds the faces: ${shown(verifyLine([first, second], flags, !isDefault))}`,
    );
  }
  if (verify === true && !answer.isError && !/"faces"/.test(answer.text)) {
    complain(
      `  the server looked for no faces and compared the whole pictures: ${wayToFaces(model, answer.text)}`,
    );
  }
  if (answer.isError) process.exitCode = ERRORS.SERVER_ERROR.exit;
}

export function requestCommand(command: Command): Command {
  command
    .argument("<image1>", "a photograph in any format")
    .argument("<image2>", "another one")
    .option("--url <url>", "address of the REST interface, with a path where it has one", DEFAULT_URL)
    .option("--grpc <host:port>", "ask over gRPC instead")
    .option("--model-name <name>", "name of the model", DEFAULT_MODEL)
    .option(
      "--api-key <key>",
      "key for a server that takes one; better in FACEID_API_KEY, which other users of the machine do not see",
    )
    .option(
      "--verify",
      "send the files to the server's :verify, which finds the faces and decides; models without signatures, such as packs, are always asked so",
    )
    .addOption(pairFaceOption("(with --verify)"))
    .option("--strict", "refuse faces unfit to be compared (with --verify)");
  addNumber(command, farFlag("such as 0.001 (with --verify)"));
  return command.action(run);
}
