/** @file The words of a command line, for hints that repeat it with a change. */

/** A word of a command line, quoted where a shell would split or change it. */
const shellWord = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** A command line that can be pasted. */
export const commandLine = (words: readonly string[]): string => words.map(shellWord).join(" ");

/** The words without a flag and its value, in both spellings. */
export function withoutFlag(words: readonly string[], flag: string): string[] {
  return words.filter((word, i) => word !== flag && !word.startsWith(`${flag}=`) && words[i - 1] !== flag);
}
