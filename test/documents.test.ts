/**
 * @file README and docs/: every command is run as it is, on small drawn data, or skipped with its reason; links, scripts,
 * benches and source files that a page names exist; programs pass the compiler, and the library's page names all that it exports.
 */
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandBlocks, unmarkedCommands } from "./support/document-commands.ts";
import { DocumentSandbox } from "./support/document-sandbox.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...["docs", "docs/notes"].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
];

const textOf = (name: string) => readFileSync(join(ROOT, name), "utf8");
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name!);

/** Anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (page: string) =>
  found(textOf(page), /^#+ (.+)$/gm).map((title) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );

/** Whether a relative link of a page leads to a file, and to a heading of it where it names one. */
function leadsSomewhere(page: string, link: string): boolean {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === "" ? page : join(dirname(page), path);
  return existsSync(join(ROOT, target)) && (anchor === undefined || anchorsOf(target).includes(anchor));
}

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

describe("what the pages name exists", () => {
  it.each(DOCUMENTS)("%s: the targets of its links", (page) => {
    const links = found(textOf(page), /\]\(([^)\s]+)\)/g).filter((link) => !link.includes(":"));
    expect(links.filter((link) => !leadsSomewhere(page, link))).toEqual([]);
  });

  it("scripts of package.json, and benches", () => {
    const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
    const text = DOCUMENTS.map(textOf).join("\n");
    const unknown = found(text, /npm run (?:-\S+ )?([\w:]+)/g).filter((name) => !(name in scripts));
    expect(unknown).toEqual([]);
    const benches = found(text, /npm run bench -- ([a-z-]+)/g);
    expect(benches.length).toBeGreaterThan(5);
    expect(benches.filter((name) => !existsSync(join(ROOT, "bench", `${name}.ts`)))).toEqual([]);
  });

  it("source files in docs/architecture.md and CONTRIBUTING.md", () => {
    const text = textOf("docs/architecture.md") + textOf("CONTRIBUTING.md");
    const paths = found(text, /`((?:src|test|bench|scripts|docs|deploy|models)\/[\w./-]+)`/g);
    expect(paths.length).toBeGreaterThan(50);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it("documents that the program names, in the package too", () => {
    const source = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
    const text = source
      .filter((path) => path.endsWith(".ts"))
      .map((path) => textOf(join("src", path)))
      .join("\n");
    const names = found(text, /\b((?:docs|bench)\/[\w/-]+\.(?:md|txt|json|csv))\b/g);
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => !DOCUMENTS.includes(name))).toEqual([]);
  });
});

/** Programs in the pages, and what the text around them supposes. */
const PROGRAMS = DOCUMENTS.flatMap((page) =>
  found(textOf(page), /^```(?:ts|js)\n([\s\S]*?)^```$/gm).map((program, i) => ({ page, i, program })),
);
const SUPPOSED =
  "declare const photograph: Uint8Array, otherPhotograph: Uint8Array, first: Blob, second: Blob;";

describe("what the pages say of the library", () => {
  it("names everything that it exports", async () => {
    const named = new Set(found(textOf("docs/library.md"), /`(\w+)`/g));
    const library = Object.keys(await import("../src/index.ts"));
    expect(library.length).toBeGreaterThan(40);
    expect(library.filter((name) => !named.has(name))).toEqual([]);
  });

  it("passes the strict compiler", async () => {
    expect(PROGRAMS.length).toBeGreaterThan(6);
    mkdirSync(join(ROOT, ".cache"), { recursive: true });
    const folder = mkdtempSync(join(ROOT, ".cache/programs-"));
    try {
      for (const { page, i, program } of PROGRAMS) {
        writeFileSync(join(folder, `${page.replaceAll("/", "-")}-${i}.mts`), `${SUPPOSED}\n${program}`);
      }
      const compilerOptions = {
        paths: { faceid: ["../../src/index.ts"] },
        noUnusedLocals: false,
        noEmit: true,
      };
      const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.mts"] };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error) => error);
      expect(stdout).toBe("");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
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
