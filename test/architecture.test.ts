/** @file The rooms of src/, the stairs between them, and the one door to each large dependency. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { loadedBy } from "./support/loaded-files.ts";

const SOURCE = join(import.meta.dirname, "../src");

const PAGE = readFileSync(join(import.meta.dirname, "../docs/architecture.md"), "utf8");

/** The rows of the page's table under a head, cell by cell. */
function tableRows(head: string): string[][] {
  const rows = PAGE.slice(PAGE.indexOf(head)).split("\n\n")[0]!.split("\n").slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const ROOM_ROWS = tableRows("| room | what it is | may import |").map(
  ([name, , may]) => [name!.replaceAll(/[`/]/g, ""), may!] as const,
);
const ROOMS = ROOM_ROWS.map(([room]) => room);

/** What the third column of a room allows: names of rooms, or all but some. */
function allowed(cell: string): readonly string[] {
  if (cell === "–") return [];
  if (cell === "all") return ROOMS;
  if (cell.startsWith("all but ")) return ROOMS.filter((room) => room !== cell.slice("all but ".length));
  return cell.split(", ");
}

/** Room → the rooms it may import from. */
const MAY_IMPORT = new Map(ROOM_ROWS.map(([room, cell]) => [room, allowed(cell)]));

const codeSpans = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);

/** Package → the only files or rooms that may import it. */
const DOORS = new Map(
  tableRows("| package | where |").flatMap(([packages, where]) =>
    codeSpans(packages!).map((name) => [name, where === "anywhere" ? [""] : codeSpans(where!)] as const),
  ),
);

/** What a start may load: its name, the files it begins with, the most modules, and its packages. */
const STARTS = tableRows("| start | files | modules at most | packages |").map(
  (cells) => cells as [name: string, files: string, most: string, packages: string],
);

/** Rooms that must run anywhere, so without Node's own modules. */
const PURE = ["graph", "nn", "model"];

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts") && statSync(join(SOURCE, path)).isFile())
  .map((path) => path.replaceAll("\\", "/"));

function importsOf(path: string): string[] {
  const text = readFileSync(join(SOURCE, path), "utf8");
  return [...text.matchAll(/(?:\bfrom |\bimport\(|^import )"([^"\s,]+)"\)?[;,)]/gm)].map(
    (match) => match[1]!,
  );
}

function roomOf(path: string): string {
  return path.includes("/") ? path.split("/")[0]! : "index";
}

const isTest = (path: string) => path.endsWith(".test.ts");

function expectStairs(path: string, specifier: string): void {
  const target = relative(SOURCE, join(SOURCE, path, "..", specifier)).replaceAll("\\", "/");
  if (target.startsWith("..")) {
    expect(isTest(path), `${path} reaches outside src/: ${specifier}`).toBe(true);
    return;
  }
  const room = roomOf(path);
  expect([room, ...(MAY_IMPORT.get(room) ?? [])], `${path} imports ${target}`).toContain(roomOf(target));
}

function expectPure(path: string, specifier: string): void {
  if (!isTest(path)) expect(PURE, `${path} imports ${specifier}`).not.toContain(roomOf(path));
}

function expectDoor(path: string, specifier: string): void {
  const parts = specifier.split("/");
  const name = specifier.startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0]!;
  if (isTest(path) && ["vitest", "fast-check"].includes(name)) return;
  const doors = DOORS.get(name);
  expect(doors, `${path} imports ${name}, which docs/architecture.md does not name`).toBeDefined();
  if (isTest(path)) return;
  expect(
    doors!.some((door) => path.startsWith(door)),
    `${path} imports ${name}, allowed only in ${doors!.join(", ")}`,
  ).toBe(true);
}

describe("architecture", () => {
  it("has rooms only from the list", () => {
    const rooms = new Set(files.map(roomOf));
    rooms.delete("index");
    expect([...rooms].toSorted()).toEqual(ROOMS.toSorted());
  });

  it.each(files.filter((path) => roomOf(path) !== "index"))("%s imports only what its room may", (path) => {
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith(".")) expectStairs(path, specifier);
      else if (specifier.startsWith("node:")) expectPure(path, specifier);
      else expectDoor(path, specifier);
    }
  });

  it.each(STARTS)("loads no more than it may: %s", (_, starts, most, packages) => {
    const loaded = loadedBy(codeSpans(starts));
    expect(loaded.files.size, [...loaded.files].join(" ")).toBeLessThanOrEqual(Number(most));
    expect([...loaded.packages].toSorted()).toEqual(codeSpans(packages).toSorted());
  });

  it("says of each command what its help loads", () => {
    const named = new Set(STARTS.flatMap(([, starts]) => codeSpans(starts)));
    const commands = files.filter((path) => /^cli\/commands\/[^/]+$/.test(path) && !isTest(path));
    expect(commands.filter((path) => !named.has(path))).toEqual([]);
  });

  it("keeps base/ small and shared", () => {
    const base = files.filter((path) => path.startsWith("base/") && !path.endsWith(".test.ts"));
    expect(base.length).toBeLessThanOrEqual(12);
  });

  it("names no type of Node that newer declarations have dropped, so that programs compile against them", () => {
    const dropped = /\bTransferListItem\b/;
    expect(files.filter((path) => dropped.test(readFileSync(join(SOURCE, path), "utf8")))).toEqual([]);
  });

  it("makes folders by makeFolder, which ends also where the system takes none", () => {
    const recursive = /mkdir(?:Sync)?\([^;]*recursive: true/;
    const own = files.filter(
      (path) => !isTest(path) && recursive.test(readFileSync(join(SOURCE, path), "utf8")),
    );
    expect(own).toEqual([]);
  });

  it("names each file's content in its first line", () => {
    for (const path of files.filter((file) => roomOf(file) !== "proto")) {
      expect(readFileSync(join(SOURCE, path), "utf8"), path).toMatch(/^(#!.*\n)?\/\*\* @file .+/);
    }
  });
});
