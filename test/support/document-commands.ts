/** @file Finds the commands in a document: fenced blocks marked `sh`, with the reason before those that a test cannot run. */

export interface CommandBlock {
  /** Line of the document on which the block begins, from 1. */
  readonly line: number;
  /** Commands in order, continued lines joined, without comments. */
  readonly commands: readonly string[];
  /** Why a test does not run the block: `<!-- not run by the tests: needs Docker -->` on the line before it. */
  readonly reason: string | undefined;
}

const REASON = /^<!-- not run by the tests: (.+) -->$/;
const FENCE = /^ {0,3}```(\w*)$/;
/** What begins a line that somebody is meant to type. */
const TYPED = /^(npx|npm|node|faceid|curl|grpcurl|docker|kubectl|kustomize|bash|pip|git) \S/;

interface Fence {
  readonly line: number;
  readonly language: string;
  readonly before: string;
  readonly lines: readonly string[];
}

function fencesOf(markdown: string): Fence[] {
  const lines = markdown.split("\n");
  const fences: Fence[] = [];
  for (let i = 0; i < lines.length; i++) {
    const language = FENCE.exec(lines[i]!)?.[1];
    if (language === undefined) continue;
    const before = lines.slice(0, i).findLast((line) => line.trim() !== "") ?? "";
    const end = lines.findIndex((line, at) => at > i && FENCE.test(line));
    fences.push({ line: i + 1, language, before, lines: lines.slice(i + 1, end) });
    i = end;
  }
  return fences;
}

function commandsOf(lines: readonly string[]): string[] {
  return lines
    .join("\n")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/(^|\s+)#\s.*$/, "").trim())
    .filter((line) => line !== "");
}

/** The blocks of commands in a document, in order. */
export function commandBlocks(markdown: string): CommandBlock[] {
  return fencesOf(markdown)
    .filter(({ language }) => language === "sh")
    .map(({ line, before, lines }) => ({
      line,
      commands: commandsOf(lines),
      reason: REASON.exec(before)?.[1],
    }));
}

/** Lines of commands in blocks that are not marked as commands, as `line: text`. */
export function unmarkedCommands(markdown: string): string[] {
  return fencesOf(markdown)
    .filter(({ language }) => language === "")
    .flatMap(({ line, lines }) => lines.map((text, i) => ({ at: line + 1 + i, text })))
    .filter(({ text }) => TYPED.test(text))
    .map(({ at, text }) => `${at}: ${text}`);
}
