/** @file Every command in README and docs/ is run as it stands, on small drawn data; what cannot be is skipped by name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandBlocks, unmarkedCommands } from "./support/document-commands.ts";
import { DocumentSandbox } from "./support/document-sandbox.ts";

const ROOT = join(import.meta.dirname, "..");
const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

const textOf = (name: string) => readFileSync(join(ROOT, name), "utf8");

describe.each(DOCUMENTS)("%s", (name) => {
  const blocks = commandBlocks(textOf(name));

  it("marks every block of commands as sh", () => {
    expect(unmarkedCommands(textOf(name))).toEqual([]);
  });

  if (!blocks.some(({ reason }) => reason === undefined)) return;
  let sandbox: DocumentSandbox | undefined;
  beforeAll(async () => {
    sandbox = await DocumentSandbox.open();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  for (const { line, commands, reason } of blocks) {
    const title = `line ${line}: ${commands[0]}${reason === undefined ? "" : ` (${reason})`}`;
    it.skipIf(reason !== undefined || process.platform === "win32")(title, async () => {
      sandbox!.beginBlock();
      for (const command of commands) {
        const { code, output } = await sandbox!.run(command);
        expect(code, `${command}\n${output}`).toBe(0);
      }
    });
  }
});

describe("commands in a document", () => {
  it("are joined where lines go on, freed of comments, and kept apart from output", () => {
    const markdown = [
      "<!-- not run by the tests: needs Docker -->",
      "",
      "```sh",
      "docker compose up \\",
      "  --build   # makes the image",
      "```",
      "```sh",
      "# nothing but a comment",
      "faceid train",
      "```",
      "```",
      "npx faceid oops",
      "```",
    ].join("\n");
    expect(commandBlocks(markdown)).toEqual([
      { line: 3, commands: ["docker compose up --build"], reason: "needs Docker" },
      { line: 7, commands: ["faceid train"], reason: undefined },
    ]);
    expect(unmarkedCommands(markdown)).toEqual(["12: npx faceid oops"]);
  });
});
