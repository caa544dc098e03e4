/** @file The layout of all help: lines of the terminal's width, long terms on lines of their own, required flags marked. */
import { type Command, Help, type Option } from "commander";
import { columnsOf, USUAL_COLUMNS, wrapped } from "./terminal.ts";

/** Longer terms get a line of their own. */
const TERM_WIDTH = 26;
const NARROWEST = 20;
/** Of a term in its line, and between it and its description. */
const INDENTS = 4;

/** A flag that must be given. */
const isRequired = ({ mandatory, defaultValue }: Option) => mandatory && defaultValue === undefined;

class NarrowHelp extends Help {
  override minWidthToWrap = NARROWEST;

  override padWidth(command: Command, helper: Help): number {
    // What is left of a narrow line is wrapped only from so many columns on; a terminal would break it in the middle of words.
    const most = Math.max(0, (this.helpWidth ?? USUAL_COLUMNS) - NARROWEST - INDENTS);
    return Math.min(TERM_WIDTH, most, super.padWidth(command, helper));
  }

  override formatItem(term: string, termWidth: number, description: string, helper: Help): string {
    if (term.length <= termWidth || description === "") {
      return super.formatItem(term, termWidth, description, helper);
    }
    const below = super.formatItem("", termWidth, description, helper);
    return `  ${term}\n${below}`;
  }

  override optionDescription(option: Option): string {
    const text = super.optionDescription(option);
    return isRequired(option) ? `(required) ${text}` : text;
  }

  override commandUsage(command: Command): string {
    const required = command.options.filter(isRequired).map(({ flags }) => flags);
    const usage = super.commandUsage(command).replace("[options]", ["[options]", ...required].join(" "));
    // The first line begins with "Usage: ".
    return this.boxWrap(usage, (this.helpWidth ?? USUAL_COLUMNS) - 7).replaceAll("\n", "\n  ");
  }
}

/** Gives a command and its subcommands this layout. */
export function withHelp(command: Command): Command {
  command.configureOutput({
    getOutHelpWidth: () => columnsOf(process.stdout) ?? USUAL_COLUMNS,
    getErrHelpWidth: () => columnsOf(process.stderr) ?? USUAL_COLUMNS,
    outputError: (text, write) => write(wrapped(text, process.stderr)),
  });
  command.createHelp = () => Object.assign(new NarrowHelp(), command.configureHelp());
  for (const each of command.commands) withHelp(each as Command);
  return command;
}
