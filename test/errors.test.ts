/** @file docs/errors.md and docs/troubleshooting.md list just the codes and messages that there are. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../src/base/errors.ts";

it("documents every error code and no other", () => {
  const text = readFileSync(join(import.meta.dirname, "../docs/errors.md"), "utf8");
  const documented = [...text.matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)].map(
    ([, code, exit, meaning]) => [code, Number(exit), meaning],
  );
  expect(documented).toEqual(
    Object.entries(ERRORS).map(([code, { exit, meaning }]) => [code, exit, meaning]),
  );
});

describe("docs/troubleshooting.md", () => {
  const page = readFileSync(join(import.meta.dirname, "../docs/troubleshooting.md"), "utf8");
  const sections = page.split(/^#{2,3} /m).slice(1);

  it("has an entry for every error code, in the same order, and for no other", () => {
    const entries = sections.filter((section) => section.startsWith("`"));
    expect(entries.map((entry) => entry.match(/^`(\w+)`/)?.[1])).toEqual(Object.keys(ERRORS));
    for (const entry of entries) expect(entry.split(/\s+/).length, entry).toBeGreaterThan(20);
  });

  it("quotes messages as the program words them", () => {
    const source = join(import.meta.dirname, "../src");
    const code = readdirSync(source, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
      .map((path) => readFileSync(join(source, path), "utf8"))
      .join("\n");
    const quotes = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, quote]) => quote!);
    expect(quotes.length).toBeGreaterThan(15);
    for (const quote of quotes) expect(code, quote).toContain(quote);
  });
});
