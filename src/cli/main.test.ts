/** @file The command's help: the list of subcommands, and the options of the one that is asked about. */
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { run } from "./main.ts";

const exitCode = process.exitCode;

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = exitCode;
});

/** What a command line prints on standard output. */
async function printed(...args: string[]): Promise<string> {
  const lines: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => lines.push(String(text)) > 0);
  await run(["node", "faceid", ...args]);
  expect(process.exitCode).toBe(0);
  return lines.join("");
}

/** Every command and subcommand of the help, as words. */
async function everyCommand(words: readonly string[] = []): Promise<string[][]> {
  const text = await printed(...words, "--help");
  const names = [...text.matchAll(/^ {2}(\w+)(?: \[options\]| <\S+>| \[\w+\])*(?: {2,}\w|$)/gm)].map(
    ([, name]) => name!,
  );
  if (!/\[command\]/.test(text)) return [[...words]];
  const below = names.filter((name) => name !== "help").map((name) => everyCommand([...words, name]));
  return [[...words], ...(await Promise.all(below)).flat()];
}

describe("faceid --help", () => {
  it("lists every subcommand with its purpose, in groups", async () => {
    const text = await printed("--help");
    expect([...text.matchAll(/^(\w+):$/gm)].map(([, group]) => group)).toEqual([
      "Options",
      "Everyday",
      "Data",
      "Expert",
      "Commands",
    ]);
    const names = [...text.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name]) => name);
    expect(names).toEqual(
      expect.arrayContaining(["verify", "faces", "train", "serve", "dataset", "convert", "models"]),
    );
    expect(names.indexOf("verify")).toBeLessThan(names.indexOf("dataset"));
  });

  it("shows the options of a subcommand in both spellings", async () => {
    const text = await printed("convert", "--help");
    expect(text).toMatch(/Usage: faceid convert \[options\] <path>[\s\S]*--onnx <file>/);
    expect(await printed("help", "convert")).toBe(text);
  });

  it("fits 80 columns, for every command", async () => {
    const commands = await everyCommand();
    expect(commands.length).toBeGreaterThan(20);
    for (const words of commands) {
      const text = await printed(...words, "--help");
      const long = text.split("\n").filter((line) => line.length > 80);
      expect(long, words.join(" ")).toEqual([]);
    }
  });

  it("is as wide as COLUMNS says in a file or pipe", async () => {
    vi.stubEnv("COLUMNS", "50");
    const narrow = await printed("convert", "--help");
    vi.stubEnv("COLUMNS", "36");
    const narrowest = await printed("convert", "--help");
    vi.stubEnv("COLUMNS", "wide");
    const usual = await printed("convert", "--help");
    vi.unstubAllEnvs();
    const longest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
    expect(longest(narrow)).toBeLessThanOrEqual(50);
    // Longer lines would be broken by the terminal, in the middle of words.
    expect(longest(narrowest)).toBeLessThanOrEqual(36);
    expect(longest(usual)).toBeGreaterThan(70);
  });

  it("marks flags that must be given, and names flags as they are typed", async () => {
    const quantize = await printed("quantize", "--help");
    expect(quantize).toMatch(/^Usage: .* --output <folder>/);
    expect(quantize).toContain("(required) version's folder to write");
    const inWords = (text: string) => text.replaceAll(/\s+/g, " ");
    expect(inWords(quantize)).toMatch(
      /when left out, align for --images of a model that says .* \(FACEID_FACES; none, align\)/,
    );
    expect(inWords(await printed("verify", "--help"))).toContain(
      "(default 0.001, or the lowest that the model supports)",
    );
    const train = await printed("train", "--help");
    for (const flag of ["with --test-fraction 0", "(with --projection-dim)", "with --sampling people"])
      expect(inWords(train)).toContain(flag);
    expect(train).not.toMatch(/\b(testFraction|excludePairs|projectionDim)\b|`/);
    expect(train.indexOf("Data:")).toBeLessThan(train.indexOf("Expert:"));
  });
});

/** What a failing command line prints on standard error and standard output, and its exit code. */
async function failed(...args: string[]) {
  const told: string[] = [];
  const out: string[] = [];
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => told.push(String(text)) > 0);
  const error = vi.spyOn(console, "error").mockImplementation((line) => void told.push(`${line}\n`));
  const log = vi.spyOn(console, "log").mockImplementation((line) => void out.push(String(line)));
  await run(["node", "faceid", ...args]);
  for (const spy of [write, error, log]) spy.mockRestore();
  return { text: told.join(""), out: out.join("\n"), exit: process.exitCode };
}

/** A picture that is there: photographs that are not are named before the model. */
const PICTURE = fileURLToPath(new URL("../../docs/images/synthetic_people.jpg", import.meta.url));

describe("a misspelt word", () => {
  it.each([
    [["verfy", "a.jpg", "b.jpg"], "verify"],
    [["dataset", "inof"], "info"],
    [["models", "lst"], "list"],
    [["train", "--epoch", "3"], "--epochs"],
    [["serve", "--modle_name", "x"], "--model-name"],
    [["verify", "a.jpg", "b.jpg", "--shwo", "x.png"], "--show"],
    [["train", "--model", "facied"], "did you mean faceid?"],
    [["verify", PICTURE, PICTURE, "--model", "opencv-sfase"], "did you mean opencv-sface?"],
    [["models", "add", "opencv-sfac"], "did you mean opencv-sface?"],
    [["serve", "--pack", "opencv-sfac", "--rest_api_port", "8501"], "did you mean opencv-sface?"],
  ])("%s is answered with the right one", async (args, wanted) => {
    const { text, exit } = await failed(...args);
    expect(text).toContain(wanted);
    expect(exit).toBeGreaterThan(1);
  });
});

describe("a folder or model without its flag", () => {
  it.each([
    [["dataset", "info", "photos"], "a folder of photographs by --dataset-path"],
    [["train", "photos"], "a folder of photographs by --dataset-path"],
    [
      ["evaluate", "runs/latest"],
      "a run by --checkpoint, an exported model by --saved-model, a folder of photographs by --dataset-path",
    ],
    [["export", "runs/latest"], "a run by --checkpoint"],
    [["app", "people"], "a gallery by --gallery"],
    [["quickstart", "here"], "what is written by --output"],
  ])("%s is answered with the flag", async (args, wanted) => {
    const { text, exit } = await failed(...args);
    expect(text).toContain(`\n  everything is given by flags: ${wanted}\n`);
    expect(exit).toBe(2);
  });

  it("is not, where arguments are taken", async () => {
    expect((await failed("verify", "a.jpg", "b.jpg", "c.jpg")).text).not.toContain("by flags");
  });
});

describe("a misspelt variable of ours", () => {
  /** A command line of every command, with as many words as it must have. */
  async function everyLine(): Promise<string[][]> {
    const lines: string[][] = [];
    for (const words of await everyCommand()) {
      const usage = (await printed(...words, "--help")).split("\n\n")[0]!;
      if (!usage.includes("[command]"))
        lines.push([...words, ...[...usage.matchAll(/ <[\w|.]+>/g)].map((_, i) => `no-such-${i}`)]);
    }
    return lines;
  }

  it("is refused by every command, whichever variables it reads", async () => {
    const lines = await everyLine();
    expect(lines.length).toBeGreaterThan(30);
    vi.stubEnv("FACEID_MODEL_DIR", "packs");
    for (const args of lines) {
      const { text, exit } = await failed(...args);
      expect(text, args.join(" ")).toContain(
        "unknown setting FACEID_MODEL_DIR in the environment, did you mean FACEID_MODELS_DIR?",
      );
      expect(exit, args.join(" ")).toBe(2);
    }
  });

  it("is named in JSON where errors are, and leaves the help alone", async () => {
    vi.stubEnv("FACEID_OFLINE", "1");
    const { out, exit } = await failed("verify", "a.jpg", "b.jpg", "--json");
    expect(JSON.parse(out)).toMatchObject({
      error: { code: "CONFIG_INVALID", message: expect.stringContaining("did you mean FACEID_OFFLINE?") },
    });
    expect(exit).toBe(64);
    process.exitCode = 0;
    expect(await printed("verify", "--help")).toContain("Usage:");
  });
});

it("says where the commands of a command are listed", async () => {
  const { text, exit } = await failed("keys", "create", "bob");
  expect(text).toContain("unknown command 'create'");
  expect(text).toMatch(/keys --help lists its commands/);
  expect(exit).toBe(2);
});

describe("a call that a command does not take", () => {
  it.each([
    [["convert", "--unknown-option"], "convert --help lists its options and arguments"],
    [["evaluate", "--unknown-option"], "evaluate --help lists its options"],
    [["dataset", "info", "--unknown-option"], "dataset info --help lists its options"],
    [["quantize", "models/x"], "quantize --help lists its options and arguments"],
    [["verify", "a.jpg"], "verify --help lists its options and arguments"],
    [["inspect", "a", "b"], "inspect --help lists its options and arguments"],
    [["train", "--epochs"], "train --help lists its options"],
  ])("%s is answered with where its help is", async (args, wanted) => {
    const { text, exit } = await failed(...args);
    expect(text).toMatch(/^error: /);
    expect(text.trimEnd().endsWith(wanted)).toBe(true);
    expect(exit).toBe(2);
  });
});

describe("an error of the system", () => {
  it.each([
    [["report", "/dev/null/x"], "MODEL_NOT_FOUND"],
    [["inspect", "/nowhere/at/all"], "there is no /nowhere/at/all"],
  ])("%s comes in words", async (args, wanted) => {
    const { text, exit } = await failed(...args);
    expect(text).toMatch(/^error: [^\n]+\n {2}\S/);
    expect(text).not.toMatch(/, (open|stat|scandir|mkdir|write) '|\n {4}at /);
    if (wanted.includes(" ")) expect(text).toContain(wanted);
    expect(exit).not.toBe(70);
  });
});

describe("faceid models", () => {
  it("lists when nothing else is said", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await run(["node", "faceid", "models"]);
    expect(String(log.mock.calls[0]?.[0])).toMatch(/^opencv-sface/);
  });
});
