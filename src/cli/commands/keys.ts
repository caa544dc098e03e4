/** @file `faceid keys`: adds, lists and revokes the API keys that a server takes. */
import { Command, Option } from "commander";
import { FaceError } from "../../base/errors.ts";
import { addKey, expiryOf, type ListedKey, listKeys, revokeKey } from "../../jobs/keys.ts";
import { SCOPES, type Scope } from "../../serving/access/keys.ts";
import { complain, say } from "../process.ts";

interface FileFlags {
  readonly keys: string;
  readonly json?: true;
}

interface AddFlags extends FileFlags {
  readonly scopes: string;
  readonly expires?: string;
  readonly galleries?: string;
}

function listOf(text: string): string[] {
  return text.split(",").map((each) => each.trim());
}

function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text);
}

/** @throws FaceError `CONFIG_INVALID` for a scope that does not exist. */
function scopesOf(text: string): Scope[] {
  const scopes = listOf(text);
  const wrong = scopes.find((scope) => !isScope(scope));
  if (wrong === undefined) return [...new Set(scopes)] as Scope[];
  throw new FaceError("CONFIG_INVALID", `--scopes: got ${JSON.stringify(wrong)}`, {
    hint: `pass some of ${SCOPES.join(", ")}, separated by commas`,
  });
}

async function add(name: string, flags: AddFlags): Promise<void> {
  const expires = flags.expires === undefined ? undefined : expiryOf(flags.expires, new Date());
  const galleries = flags.galleries === undefined ? undefined : listOf(flags.galleries);
  const scopes = scopesOf(flags.scopes);
  const { id, token } = await addKey(flags.keys, { name, scopes, galleries, expires });
  if (flags.json === true) {
    console.log(JSON.stringify({ id, name, scopes, galleries, expires, key: token }));
    return;
  }
  console.log(token);
  complain(`This is the key ${name} (${id}); it is shown only now. ${flags.keys} has its digest.`);
}

function lineOf({ id, name, state, scopes, galleries, expires }: ListedKey): string {
  const where = galleries === undefined ? "" : `, galleries ${galleries.join(" ")}`;
  const end = expires === undefined ? "" : `, until ${expires}`;
  return `${id}  ${state.padEnd(7)}  ${name}: ${scopes.join(" ")}${where}${end}`;
}

function list({ keys: file, json }: FileFlags): void {
  const keys = listKeys(file);
  if (json === true) console.log(JSON.stringify(keys, undefined, 2));
  else say(keys.length === 0 ? "no keys" : keys.map(lineOf).join("\n"));
}

async function revoke(which: string, { keys: file, json }: FileFlags): Promise<void> {
  await revokeKey(file, which);
  if (json === true) console.log(JSON.stringify({ revoked: which }));
  else say(`${which} is revoked; servers that read ${file} refuse it from now on`);
}

export function keysCommand(command: Command): Command {
  const commands = [
    new Command("add")
      .description("make a key and print it, once")
      .argument("<name>", "who or what will use it")
      .option("--scopes <list>", `what it allows, by commas: ${SCOPES.join(", ")}`, "predict")
      .option("--expires <when>", "number of days, or a date such as 2030-12-31; never without it")
      .option("--galleries <list>", "the only galleries that it opens, by commas; all without it")
      .action(add),
    new Command("list").description("show the keys, without what is secret").action(list),
    new Command("revoke")
      .description("refuse a key from now on")
      .argument("<key>", "its name or id")
      .action(revoke),
  ];
  for (const each of commands) {
    each
      .addOption(
        new Option(
          "--keys <file>",
          "the file of keys, which serve --api-keys-file takes",
        ).makeOptionMandatory(),
      )
      .option("--json", "print JSON");
    command.addCommand(each.exitOverride());
  }
  return command.addHelpText(
    "after",
    `
The file holds digests, so a lost key cannot be shown again: revoke it and add
another. Clients send a key as Authorization: Bearer KEY; faceid request takes
it from FACEID_API_KEY.`,
  );
}
