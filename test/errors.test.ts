/** @file docs/errors.md lists just the codes that there are, with their exit codes and meanings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
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
