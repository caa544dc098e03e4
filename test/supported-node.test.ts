/** @file What is installed beside faceid runs on the oldest Node that faceid supports, so that npm warns of nothing. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

interface Locked {
  readonly dev?: boolean;
  readonly engines?: { readonly node?: string };
}

const read = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, "..", name), "utf8"));

const numbers = (version: string) => version.split(".").map((each) => Number(each.replace(/^[x*]$/, "0")));

const isAtLeast = (version: readonly number[], least: readonly number[]) => {
  const at = [0, 1, 2].find((i) => (version[i] ?? 0) !== (least[i] ?? 0));
  return at === undefined || (version[at] ?? 0) > (least[at] ?? 0);
};

/** Whether a range such as `>=20.6.0`, `^18.19.0 || >=20.6.0` or `6.*` has a version. */
function holds(range: string, version: readonly number[]): boolean {
  return range.split("||").some((part) => {
    const [, sign, text] = /^(>=|\^)?\s*(\d[\d.x*]*)$/.exec(part.trim()) ?? [];
    if (text === undefined) throw new Error(`a range of another form: ${range}`);
    const least = numbers(text);
    return isAtLeast(version, least) && (sign === ">=" || version[0] === least[0]);
  });
}

// fastify takes any light-my-request of its major version, and the newer ones take a cookie for Node 22: package.json pins
// the last one before.
it("every package that users get takes the oldest Node that we support", () => {
  const oldest = numbers(read("package.json").engines.node.replace(">=", ""));
  const { packages } = read("package-lock.json") as { packages: Record<string, Locked> };
  const ranges = Object.entries(packages).flatMap(([path, { dev, engines }]) =>
    dev === true || engines?.node === undefined ? [] : [[path, engines.node] as const],
  );
  expect(ranges.length).toBeGreaterThan(50);
  expect(ranges.filter(([, range]) => !holds(range, oldest))).toEqual([]);
});
