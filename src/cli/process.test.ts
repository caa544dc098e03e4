/** @file Commands that are printed to be pasted: as this process was started, and quoted for the shell. */
import { describe, expect, it, vi } from "vitest";
import { asTyped, consoleLog, programText, shellWord } from "./process.ts";

describe("a printed command", () => {
  it.each([
    ["runs/latest", "runs/latest"],
    ["my photos", "'my photos'"],
    ["it's", "'it'\\''s'"],
    ["$HOME;rm", "'$HOME;rm'"],
    ["", "''"],
  ])("has %s as %s", (word, quoted) => {
    expect(shellWord(word, "linux")).toBe(quoted);
  });

  it("has double quotes on Windows", () => {
    expect(shellWord("C:\\my photos", "win32")).toBe('"C:\\my photos"');
  });

  it("begins as the process was started", () => {
    const local = ["node", "/home/me/faceid/bin/faceid.js"];
    expect(programText(local, { npm_command: "exec" })).toBe("npx faceid");
    expect(programText(local, { npm_command: "run-script" })).toBe("npx faceid");
    expect(programText(local, {})).toMatch(/^node .*bin\/faceid\.js$/);
    expect(programText(["node", "/usr/bin/faceid"], {})).toBe("faceid");
  });

  it("is found in texts by the names of commands only", () => {
    const text = "faceid models list, or npx faceid serve; faceid is a program that faceid exported";
    const shown = asTyped(text, ["models", "serve"]);
    expect(shown).toBe(text.replace("faceid models", `${programText()} models`));
  });

  it("begins as the process was started in messages of the log, too", () => {
    vi.stubEnv("npm_command", "exec");
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    consoleLog().info("no record yet: faceid calibrate models/1 measures one");
    const [[text] = []] = write.mock.calls;
    write.mockRestore();
    vi.unstubAllEnvs();
    expect(text).toBe("no record yet: npx faceid calibrate models/1 measures one\n");
  });
});
