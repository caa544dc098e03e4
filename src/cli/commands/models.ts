/** @file `faceid models`: lists, adds and removes model packs, and says where they are. */
import { join } from "node:path";
import { Command } from "commander";
import { bytesText } from "../../base/log.ts";
import { models } from "../../faces/models.ts";
import { bytesOf, filesOf, type Pack, packNamed } from "../../faces/packs/catalogue.ts";
import type { PackStatus } from "../../faces/packs/store.ts";
import { commandText, consoleLog, onInterrupt, STOPPING_MS, say } from "../process.ts";
import { StatusLine } from "../progress.ts";
import { TransferText } from "../transfer.ts";

const STATE_WORDS = { present: "here", absent: "not here", damaged: "damaged" } as const;

/** What a pack is made of, in lines of at most 80 columns: files, licences, what they were trained on. */
function termsLines(pack: Pack): string[] {
  const lines = filesOf(pack).flatMap(([role, { name, bytes, holds, licence, trainedOn }]) => [
    `${role.padEnd(11)}${holds}`,
    `${" ".repeat(11)}${name}, ${bytesText(bytes)}, ${licence}`,
    `${" ".repeat(11)}trained on ${trainedOn}`,
  ]);
  return [...lines, `note: ${pack.note}`].map((line) => `  ${line}`);
}

function statusLines(status: PackStatus): string[] {
  const { pack, state, folder } = status;
  const head = `${pack.name}  ${bytesText(bytesOf(pack))}, ${STATE_WORDS[state]}`;
  const damage =
    state === "damaged"
      ? [`  ${status.problem}`, `  ${commandText("models", "add", pack.name)} replaces it`]
      : [];
  return [head, ...(state === "absent" ? [] : [`  ${folder}`]), ...damage, ...termsLines(pack)];
}

/** A status for programs. */
function statusObject({ pack, folder, ...state }: PackStatus): object {
  const files = filesOf(pack).map(([role, file]) => ({ role, ...file, path: join(folder, file.name) }));
  return { name: pack.name, ...state, folder, bytes: bytesOf(pack), note: pack.note, files };
}

async function list({ json }: { json?: true }): Promise<void> {
  const all = await models.list();
  if (json === true) console.log(JSON.stringify(all.map(statusObject), undefined, 2));
  else say(all.map((status) => statusLines(status).join("\n")).join("\n\n"));
}

async function add(name: string, { from }: { from?: string[] }): Promise<void> {
  const pack = packNamed(name);
  const folder = models.path(name);
  const { state } = (await models.list()).find((each) => each.pack === pack)!;
  if (state === "present") {
    say(`${name} is here already: ${folder}`);
    return;
  }
  const terms = [`${name} goes to ${folder}`, ...termsLines(pack)].join("\n");
  let told = false;
  // Before the first byte; the terms of a pack that cannot be fetched are of no use.
  const tell = () => {
    if (!told) say(terms);
    told = true;
  };
  const transfer = new TransferText();
  using line = new StatusLine();
  using interrupt = onInterrupt(() => line.say("stopping; the next run goes on from here"), {
    patience: () => STOPPING_MS,
    kept: () => "the next run goes on from here",
  });
  await models.add(name, {
    from,
    log: {
      ...consoleLog(),
      info: (message) => {
        tell();
        line.say(message);
      },
    },
    progress: ({ received, total }) => line.show(transfer.text(name, received, total)),
    signal: interrupt.signal,
  });
  line[Symbol.dispose]();
  tell();
  say(`${name} is here and checked`);
}

async function remove(name: string): Promise<void> {
  const was = await models.remove(name);
  say(was ? `${name} is removed` : `${name} was not here`);
}

function path(name: string | undefined): void {
  console.log(models.path(name));
}

export function modelsCommand(command: Command): Command {
  const commands = [
    new Command("list")
      .description("print every pack: whether it is here, size, licences, what it was trained on")
      .option("--json", "print a list of JSON objects, with digests and addresses")
      .action(list),
    new Command("add")
      .description("download a pack, or copy it from files; its digests are checked")
      .argument("<name>", "the pack, as faceid models list names it")
      .option("--from <paths...>", "files of the pack, a folder with them, or a zip such as a Python wheel")
      .action(add),
    new Command("remove").description("delete a pack").argument("<name>", "the pack").action(remove),
    new Command("path")
      .description("print the folder of all packs (FACEID_MODELS_DIR), or of one")
      .argument("[name]", "the pack")
      .action(path),
  ];
  for (const each of commands) command.addCommand(each.exitOverride());
  return command;
}
