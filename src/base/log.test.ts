/** @file Counts and names as people read them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesText, counted, countText, shown, shownLines } from "./log.ts";

describe("words", () => {
  it("have the number of their count", () => {
    expect([0, 1, 2, 1200].map((count) => counted(count, "person", "people"))).toEqual([
      "0 people",
      "1 person",
      "2 people",
      "1,200 people",
    ]);
    expect(counted(1, "photograph")).toBe("1 photograph");
    expect([999, 1000, 55_682_017].map(countText)).toEqual(["999", "1,000", "55,682,017"]);
  });

  /** A number that is recorded, one that is a size, one that names an archive, and a mean. */
  const OTHERS = [
    ["compared.length", "people"],
    ["image.shape[0]", "images"],
    ["images", "images"],
    ["each", "photographs"],
  ].map(([count, what]) => `$\{${count}} ${what}`);

  it("count with commas in every message", () => {
    const source = join(import.meta.dirname, "..");
    const rooms = ["cli", "jobs", "evaluate", "data", "train", "gallery", "verify"];
    const files = rooms.flatMap((room) =>
      readdirSync(join(source, room), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
        .map((name) => join(source, room, name)),
    );
    const counts =
      /\$\{(?!count(?:Text|ed)\()[^{}`]*\} (?:pairs|photographs|images|people|faces|embeddings|strangers)\b/g;
    const found = files.flatMap((file) => readFileSync(file, "utf8").match(counts) ?? []);
    expect(found.toSorted()).toEqual(OTHERS.toSorted());
  });

  it("give sizes in decimal units", () => {
    expect([0, 999, 1500, 1_091_094, 1_928_099, 5e12].map(bytesText)).toEqual([
      "0 B",
      "999 B",
      "1.5 kB",
      "1.1 MB",
      "1.9 MB",
      "5.0 TB",
    ]);
  });

  it.each([
    ["a\nb", "a\\nb"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["a\rb\tc", "a\\rb\\tc"],
    ["a\u202egpj.exe", "a\\u202egpj.exe"],
    ["a\u0085b\u007f", "a\\u0085b\\u007f"],
    ["Zoë 漢字 – 'ok'", "Zoë 漢字 – 'ok'"],
  ])("write the control characters of %j out", (name, written) => {
    expect(shown(name)).toBe(written);
  });

  it("keep the lines of a message, but none that a name brings", () => {
    expect(shownLines("one\n  two\nforged: three\u001b[2J")).toBe("one\n  two\\nforged: three\\u001b[2J");
  });
});
