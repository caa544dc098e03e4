/** @file docs/errors.md lists exactly the codes and messages that the program has. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../src/base/errors.ts";

const page = readFileSync(join(import.meta.dirname, "../docs/errors.md"), "utf8");
const [codes, remedies] = page.split("## By code") as [string, string];

describe("docs/errors.md", () => {
  it("lists every error code and no other", () => {
    const documented = [...codes.matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)].map(
      ([, code, exit, meaning]) => [code, Number(exit), meaning],
    );
    expect(documented).toEqual(
      Object.entries(ERRORS).map(([code, { exit, meaning }]) => [code, exit, meaning]),
    );
  });

  it("says what to do for every error code, in the same order, and for no other", () => {
    const entries = remedies.split(/^#{2,3} /m).filter((section) => section.startsWith("`"));
    expect(entries.map((entry) => entry.match(/^`(\w+)`/)?.[1])).toEqual(Object.keys(ERRORS));
    for (const entry of entries) expect(entry.split(/\s+/).length, entry).toBeGreaterThan(20);
  });

  it("quotes messages as the program words them", () => {
    const source = join(import.meta.dirname, "../src");
    const code = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
      .map((path) => readFileSync(join(source, path), "utf8"))
      .join("\n");
    const quotes = [...remedies.matchAll(/^\| `([^`]+)` \|/gm)].map(([, quote]) => quote!);
    expect(quotes.length).toBeGreaterThan(15);
    for (const quote of quotes) expect(code, quote).toContain(quote);
  });
});
