/** @file The tables of measured figures in README and docs/ are what the files in bench/results say. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { documents, filled } from "../scripts/tables.ts";

describe("tables of figures", () => {
  it.each(documents())("%s holds what was measured (npm run tables)", (path) => {
    const text = readFileSync(path, "utf8");
    expect(filled(text)).toBe(text);
    if (basename(path) === "README.md") expect(text.match(/<!-- table: /g)).toHaveLength(3);
  });

  it("must be known", () => {
    expect(() => filled("<!-- table: fortune -->\n<!-- end of table -->")).toThrow("no table called fortune");
  });
});
