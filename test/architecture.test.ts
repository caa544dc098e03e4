/** @file The rooms of src/, the stairs between them, and the one door to each large dependency. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const SOURCE = join(import.meta.dirname, "../src");

/** Room → the rooms it may import from. docs/architecture.md says why. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  proto: [],
  graph: ["base"],
  nn: ["graph", "base"],
  onnx: ["graph", "proto", "base"],
  image: ["base"],
  faces: ["onnx", "graph", "image", "base"],
  data: ["image", "base"],
  model: ["nn", "graph", "image", "base"],
  train: ["model", "data", "nn", "onnx", "graph", "base"],
  evaluate: ["model", "data", "base"],
  savedmodel: ["graph", "proto", "base"],
  serving: ["savedmodel", "onnx", "image", "graph", "proto", "base"],
  client: ["image", "proto", "base"],
  workflow: [
    "graph",
    "nn",
    "onnx",
    "image",
    "data",
    "model",
    "train",
    "evaluate",
    "savedmodel",
    "serving",
    "client",
    "base",
  ],
  cli: [
    "workflow",
    "base",
    "proto",
    "graph",
    "nn",
    "onnx",
    "image",
    "data",
    "model",
    "train",
    "evaluate",
    "savedmodel",
    "serving",
    "client",
  ],
};

/** Package → the only file (or room) that may import it. */
const DOORS: Record<string, string> = {
  "onnxruntime-node": "onnx/runtime.ts",
  sharp: "image/decode.ts",
  fastify: "serving/rest.ts",
  "@grpc/grpc-js": "(serving|client)/grpc.ts",
  "@observablehq/plot": "evaluate/chart.ts",
  linkedom: "evaluate/chart.ts",
  commander: "cli/.*",
  zod: ".*",
  pino: "cli/json-log.ts",
  yauzl: "data/archive.ts",
  "@bufbuild/protobuf": "(proto|onnx|savedmodel|serving|client)/.*",
};

/** Rooms that must run anywhere, so without Node's own modules. */
const PURE = ["graph", "nn", "model"];

/** Files of other rooms that must run anywhere too, and so import only each other, types and `base/`. */
const PURE_FILES =
  /^faces\/(face|yunet|similarity|alignment|pyramid|quality|quality-limits|choose|scans|network)\.ts$/;

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
  expect([room, ...(MAY_IMPORT[room] ?? [])], `${path} imports ${target}`).toContain(roomOf(target));
}

function expectPure(path: string, specifier: string): void {
  if (!isTest(path)) expect(PURE, `${path} imports ${specifier}`).not.toContain(roomOf(path));
}

/** The page's files import each other and what needs nothing of Node's. */
function expectForPage(path: string, specifier: string): void {
  const target = relative(SOURCE, join(SOURCE, path, "..", specifier)).replaceAll("\\", "/");
  const mayImport =
    PURE_FILES.test(target) || /^(image\/pixels|base\/(errors|tensor|dtype|shape))\.ts$/.test(target);
  expect(mayImport, `${path} imports ${specifier}`).toBe(true);
}

function expectDoor(path: string, specifier: string): void {
  const parts = specifier.split("/");
  const name = specifier.startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0]!;
  if (isTest(path) && ["vitest", "fast-check"].includes(name)) return;
  const door = DOORS[name];
  expect(door, `${path} imports ${name}, which has no door in this test`).toBeDefined();
  if (!isTest(path)) expect(path, `${name} may be imported only by ${door}`).toMatch(new RegExp(`^${door}$`));
}

describe("architecture", () => {
  it("has rooms only from the list", () => {
    const rooms = new Set(files.map(roomOf));
    rooms.delete("index");
    for (const room of rooms) expect(Object.keys(MAY_IMPORT)).toContain(room);
  });

  it.each(files.filter((path) => roomOf(path) !== "index"))("%s imports only what its room may", (path) => {
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith(".")) expectStairs(path, specifier);
      else if (specifier.startsWith("node:")) expectPure(path, specifier);
      else expectDoor(path, specifier);
    }
  });

  it.each(files.filter((path) => PURE_FILES.test(path)))("%s runs in a browser", (path) => {
    for (const specifier of importsOf(path)) expectForPage(path, specifier);
  });

  it("keeps base/ small and shared", () => {
    const base = files.filter((path) => path.startsWith("base/") && !path.endsWith(".test.ts"));
    expect(base.length).toBeLessThanOrEqual(12);
  });

  it("names each file's content in its first line", () => {
    for (const path of files.filter((file) => roomOf(file) !== "proto")) {
      expect(readFileSync(join(SOURCE, path), "utf8"), path).toMatch(/^(#!.*\n)?\/\*\* @file .+/);
    }
  });
});
