/** @file The command's help: the list of subcommands, and the options of the one that is asked about. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { run } from "./main.ts";

const exitCode = process.exitCode;

afterEach(() => {
  vi.restoreAllMocks();
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

describe("faceid --help", () => {
  it("lists every subcommand with its purpose", async () => {
    const text = await printed("--help");
    expect([...text.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name]) => name)).toEqual([
      "quickstart",
      "train",
      "evaluate",
      "report",
      "export",
      "verify",
      "faces",
      "gallery",
      "serve",
      "request",
      "dataset",
      "summary",
      "plot",
      "inspect",
      "quantize",
      "convert",
      "models",
    ]);
  });

  it("shows the options of a subcommand in both spellings", async () => {
    const text = await printed("convert", "--help");
    expect(text).toMatch(/Usage: faceid convert \[options\] <path>[\s\S]*--onnx <file>/);
    expect(await printed("help", "convert")).toBe(text);
  });
});
