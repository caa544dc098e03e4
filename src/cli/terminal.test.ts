/** @file Messages on a terminal: broken between words, but not within what is pasted; unchanged in files and pipes. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hasPseudoTerminal, onTerminal } from "../../test/support/pseudo-terminal.ts";
import { temporaryFolder } from "../../test/support/tiny-run.ts";
import { writeSynthetic } from "../data/drawn.ts";
import { imageSettings } from "../image/settings.ts";
import { wrapped, wrappedRemarks } from "./terminal.ts";

const terminal = (columns: number) => ({ isTTY: true, columns, write: () => undefined });
const at = (columns: number, text: string) => wrapped(text, terminal(columns)).split("\n");

describe("a message", () => {
  const message =
    "error: the model pack opencv-sface is not here, and FACEID_OFFLINE forbids fetching it again";

  it("is broken between words, below its first one", () => {
    expect(at(40, message)).toEqual([
      "error: the model pack opencv-sface is",
      "       not here, and FACEID_OFFLINE",
      "       forbids fetching it again",
    ]);
    for (const columns of [24, 40, 80]) {
      for (const line of at(columns, message)) expect(line.length).toBeLessThan(columns);
      expect(
        at(columns, message)
          .map((line) => line.trim())
          .join(" "),
      ).toBe(message);
    }
  });

  it("is unchanged in a file or a pipe, and where it fits", () => {
    expect(wrapped(message, { write: () => undefined, columns: 40 })).toBe(message);
    expect(at(200, message)).toEqual([message]);
  });

  it.each([
    "faceid models add opencv-sface --from FOLDER",
    "npx faceid calibrate 'my models/1' --dataset-path PEOPLE --far 0.001",
    "node ../faceid/bin/faceid.js faces '/photos of us/group 1.jpg'",
    "`git lfs pull --all of it`",
  ])("does not break %s", (command) => {
    for (let columns = 24; columns < 100; columns++) {
      const text = `  to go on from here: ${command} lists and numbers them; or leave it out, as was said before`;
      const lines = at(columns, text);
      expect(lines.some((line) => line.includes(command))).toBe(true);
      // What is said of it is broken as all else.
      for (const line of lines) expect(line.includes(command) || line.length < columns).toBe(true);
      expect(lines.map((line) => line.trim()).join(" ")).toBe(text.trim());
    }
  });

  it("does not break a command of another program, up to the end of its clause", () => {
    const lines = at(40, "install it again: npm install --include=optional sharp; then run it once more");
    expect(lines).toContain("  npm install --include=optional sharp;");
  });

  it("of a table goes on below its second column", () => {
    expect(at(44, "left out        1 image that cannot be read and 2 images of one colour")).toEqual([
      "left out        1 image that cannot be read",
      "                and 2 images of one colour",
    ]);
    expect(
      at(49, "            verification_embedding  float32 [-1, 128]  (verification_embedding:0)"),
    ).toEqual([
      "            verification_embedding  float32 [-1,",
      "                        128]",
      "                        (verification_embedding:0)",
    ]);
    expect(at(40, "  written by faceid 0.1.0 in the format of TensorFlow")).toEqual([
      "  written by faceid 0.1.0 in the format",
      "    of TensorFlow",
    ]);
  });

  it("of a list goes on below the text behind the name", () => {
    expect(at(44, "  fetch it:   unset FACEID_OFFLINE, then run the command once more")).toEqual(
      ["  fetch it:   unset FACEID_OFFLINE, then", "              run the command once more"].map(
        (line) => line,
      ),
    );
  });

  it("keeps words that are longer than the line, and the lines of an answer that are no remarks", () => {
    const path = `/${"x".repeat(60)}`;
    expect(at(40, `error: cannot read ${path} at all`)).toEqual([
      "error: cannot read",
      `       ${path}`,
      "       at all",
    ]);
    const answer = `same person 0.9 ${path} and more\nthreshold          0.863  (for a rate of 0.01)\nwarning: ${"word ".repeat(12)}end`;
    const [first, ...rest] = wrappedRemarks(answer, terminal(40)).split("\n");
    expect(first).toBe(`same person 0.9 ${path} and more`);
    expect(rest.slice(0, 2)).toEqual(["threshold          0.863  (for a rate", `${" ".repeat(19)}of 0.01)`]);
    expect(rest.length).toBeGreaterThan(3);
  });
});

describe.skipIf(!hasPseudoTerminal)("an error of the command", () => {
  const main = join(import.meta.dirname, "main.ts");
  const program = `const { run } = await import(${JSON.stringify(main)});\nawait run(["node", ...process.argv.slice(1)]);`;
  const node = ["--import", "tsx", "--input-type=module", "-e", program, "faceid"];
  const args = ["verify", "a.jpg", "b.jpg", "--face", "smallest"];
  const drawn = ["--dataset", "synthetic", "--id-to", "29", "--images-per-id", "2"];

  it.each([80, 50])("fits a terminal of %i columns", (columns) => {
    const options = { encoding: "utf8", cwd: join(import.meta.dirname, "../..") } as const;
    const piped = spawnSync(process.execPath, [...node, ...args], options).stderr;
    expect(Math.max(...piped.split("\n").map(({ length }) => length))).toBeGreaterThan(columns);
    const { stdout } = spawnSync(...onTerminal(columns, [process.execPath, ...node, ...args]), options);
    const lines = stdout.split(/\r?\n/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(columns);
    const words = (text: string) => text.split(/\s+/).filter((word) => word !== "");
    expect(words(stdout)).toEqual(words(piped));
  });

  it("and so do answers in words: a model's signatures, a version in 8 bits, what was written and revoked", async () => {
    const folder = temporaryFolder("answers");
    const images = join(folder, "people in some folder with a name that is long enough for two lines");
    const keys = join(folder, "keys.json");
    await writeSynthetic({
      output: images,
      identities: 3,
      imagesPerIdentity: 8,
      settings: imageSettings(112),
    });
    const calls = [
      ["inspect", "models/default/1"],
      ["quantize", "models/default/1", "--images", images, "--output", join(folder, "version/1")],
      ["dataset", "info", "--dataset-path", images],
      ["keys", "add", "bob", "--keys", keys],
      ["keys", "revoke", "bob", "--keys", keys],
      ["models", "list"],
    ];
    const options = { encoding: "utf8", cwd: join(import.meta.dirname, "../..") } as const;
    for (const call of calls) {
      const { stdout } = spawnSync(...onTerminal(80, [process.execPath, ...node, ...call]), options);
      const lines = stdout.split(/\r?\n/).map((line) => line.split("\u001b[2K").at(-1)!);
      expect(lines.length, call.join(" ")).toBeGreaterThan(1);
      // What is pasted into a shell is not broken, nor is a word.
      const isWhole = (line: string) => /faceid [a-z]+ /.test(line) || !line.trim().includes(" ");
      const long = lines.filter((line) => line.length >= 80 && !isWhole(line));
      expect(long, call.join(" ")).toEqual([]);
    }
    rmSync(folder, { recursive: true });
  });

  it("and so do the figures of an evaluation, with what they are good for", () => {
    const measured = [
      "evaluate",
      "--saved-model",
      "models/default/1",
      ...drawn,
      "--faces",
      "none",
      "--test-pairs",
      "20",
    ];
    const options = { encoding: "utf8", cwd: join(import.meta.dirname, "../..") } as const;
    const { stdout } = spawnSync(...onTerminal(80, [process.execPath, ...node, ...measured]), options);
    const lines = stdout.split(/\r?\n/).map((line) => line.split("\u001b[2K").at(-1)!);
    expect(stdout).toContain("too few pairs for a verdict");
    expect(lines.filter(({ length }) => length >= 80)).toEqual([]);
  });

  it("and so does what a training says, from its data to its verdict", () => {
    const folder = temporaryFolder("terminal");
    const tiny = ["--model", "compact", "--epochs", "1", "--dataset-size", "16", "--no-export"];
    const trained = ["train", ...drawn, ...tiny, "--output", join(folder, "run")];
    const options = { encoding: "utf8", cwd: join(import.meta.dirname, "../..") } as const;
    const { stdout } = spawnSync(...onTerminal(80, [process.execPath, ...node, ...trained]), options);
    expect(stdout).toContain("trained for 1 epoch of 16 pairs or images");
    expect(stdout).toContain("finished: the one epoch is done");
    expect(stdout).toContain("too few pairs for a verdict");
    rmSync(folder, { recursive: true });
    const prose = stdout
      .split(/\r?\n/)
      .filter((line) => !line.includes("\u001b[2K") && !/^epoch 1/.test(line));
    expect(prose.filter(({ length }) => length >= 80)).toEqual([]);
  });
});
