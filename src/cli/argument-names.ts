/** @file Errors of the library name its arguments, as in `output`; on a command line these are flags, as in --output. */
import type { Command, Option } from "commander";

/** Arguments of `serve` whose flags, those of TensorFlow Serving, have other names. */
const SERVE_FLAGS: Readonly<Record<string, string>> = {
  restPort: "restApiPort",
  grpcPort: "port",
  modelPath: "modelBasePath",
  tlsFile: "sslConfigFile",
  tokens: "jwtJwksFile",
  "tokens.jwksFile": "jwtJwksFile",
};

/** The command that was called: the innermost whose name the words give. */
function calledCommand(root: Command, [word, ...rest]: readonly string[]): Command {
  const inner = root.commands.find((each) => each.name() === word);
  return inner === undefined ? root : calledCommand(inner, rest);
}

/** A text of the library in which the arguments that the called command takes are its flags. */
export function withFlags(text: string, root: Command, args: readonly string[]): string {
  const command = calledCommand(root, args);
  const isServe = command.name() === "serve";
  // The same name may be that of a flag and, with --no- before it, of its opposite.
  const optionOf = (name: string, isOff: boolean): Option | undefined =>
    command.options.find((option) => option.attributeName() === name && option.negate === isOff);
  return text.replaceAll(/`([a-z][A-Za-z.]*)(: false)?`/g, (quoted: string, name: string, off?: string) => {
    const wanted = (isServe && SERVE_FLAGS[name]) || name;
    const long = optionOf(wanted, off !== undefined)?.long;
    if (long === undefined || long === null) return quoted;
    return isServe ? `--${long.slice(2).replaceAll("-", "_")}` : long;
  });
}
