/** @file `faceid gallery`: keeps people and says who is on a photograph. */
import { type Command, Option } from "commander";
import { enrolCommands } from "./gallery/enrol.ts";
import { identifyCommand } from "./gallery/identify.ts";
import { moveCommands } from "./gallery/move.ts";
import { peopleCommands } from "./gallery/people.ts";

export function galleryCommand(command: Command): Command {
  const commands = [...enrolCommands(), identifyCommand(), ...peopleCommands(), ...moveCommands()];
  for (const each of commands) {
    each
      .addOption(
        new Option("--gallery <address>", "a folder, or postgres://user:password@host/database")
          .env("FACEID_GALLERY")
          .makeOptionMandatory(),
      )
      .option("--gallery-name <name>", "the gallery's name among those at the address", "default")
      .option("--json", "print one JSON object");
    command.addCommand(each.exitOverride());
  }
  return command.addHelpText(
    "after",
    `
Photographs are kept only with --keep-photos, and encrypted when
FACEID_GALLERY_KEY holds a key of 32 bytes. FACEID_GALLERY names the gallery
where --gallery is left out.`,
  );
}
