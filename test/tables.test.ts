/** @file The tables in README and docs/ are what the files in bench/results and the schema of the settings say. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { documents, filled } from "../scripts/tables.ts";

describe("tables of figures", () => {
  it.each(documents())("%s holds what was measured (npm run tables)", (path) => {
    const text = readFileSync(path, "utf8");
    expect(filled(text)).toBe(text);
    if (basename(path) === "README.md") expect(text.match(/<!-- table: /g)).toHaveLength(2);
  });

  it("must be known", () => {
    expect(() => filled("<!-- table: fortune -->\n<!-- end of table -->")).toThrow("no table called fortune");
  });
});
