/** @file The package as npm packs it: what is in it, and that it works in an empty project, in JavaScript and TypeScript. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { writeSynthetic } from "../src/data/drawn.ts";
import { imageSettings } from "../src/image/settings.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const work = temporaryFolder("package");
const [checkout, project] = [join(work, "checkout"), join(work, "project")];
const installed = join(project, "node_modules/faceid");

/** Training and compiling on a machine that is busy with other tests. */
const LONG = 400_000;

/** Folders that are made, not written, and so are not part of a fresh checkout. */
const MADE = new Set(["node_modules", "dist", "coverage", ".git", ".cache", ".venv", "runs", "quickstart"]);

interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  dependencies: Record<string, string>;
};
let packed: Packed;

/** Runs npm, also where it is a batch file. */
function npm(args: readonly string[], cwd: string) {
  return run("npm", args, { cwd, shell: process.platform === "win32", maxBuffer: 2 ** 26 });
}

/** Gives the project a package that lies in our own node_modules. */
function link(name: string): void {
  const path = join(project, "node_modules", name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules", name), path, "junction");
}

beforeAll(async () => {
  cpSync(ROOT, checkout, { recursive: true, filter: (path) => !MADE.has(basename(path)) });
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"), "junction");
  await run(process.execPath, [TSC, "-p", "tsconfig.build.json"], { cwd: checkout });
  for (const script of ["scripts/web.ts", "scripts/zod.ts"]) {
    await run(process.execPath, ["--import", "tsx", script], { cwd: checkout });
  }
  const { stdout } = await npm(["pack", "--json", "--pack-destination", work], checkout);
  packed = (JSON.parse(stdout) as [Packed])[0];
  mkdirSync(installed, { recursive: true });
  await run("tar", ["-xzf", join(work, packed.filename), "-C", installed, "--strip-components=1"]);
  // Nothing but what package.json promises; a package that is missing there is missing here.
  for (const name of Object.keys(manifest.dependencies)) link(name);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", type: "module" }));
}, LONG);

/** The page that `faceid app` serves, built from `web/`. */
const PAGE = ["app.css", "app.js", "compute.js", "icon.svg", "index.html"].map((name) => `dist/web/${name}`);

describe("the package", () => {
  const paths = () => packed.files.map(({ path }) => path);

  it("holds what users need and nothing else", () => {
    const wanted = [
      /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
      /^bin\/faceid\.js$/,
      /^dist\/.+\.(js|d\.ts)$/,
      /^dist\/web\/(index\.html|app\.(js|css)|compute\.js|icon\.svg)$/,
      /^docs\/(notes\/)?[\w-]+\.md$/,
      /^examples\/[\w-]+\.js$/,
      /^models\/default\/1\/(saved_model\.pb|assets\.extra\/(faceid\.json|tf_serving_warmup_requests))$/,
      /^proto\/.+\.proto$/,
    ];
    expect(paths().filter((path) => !wanted.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(paths().filter((path) => path.includes(".test."))).toEqual([]);
    expect(paths()).toContain("dist/web/index.html");
    const top = new Set(paths().map((path) => path.split("/")[0]));
    expect([...top].toSorted()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "bin",
      "dist",
      "docs",
      "examples",
      "models",
      "package.json",
      "proto",
    ]);
    // The shipped model takes 1.9 MiB, zod in one file 0.2, code and documents the rest. The limit is there for anything large
    // that slips in.
    expect(packed.unpackedSize).toBeLessThan(7 * 2 ** 20);
  });

  it("holds every compiled source with its types", () => {
    const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
      .map((path) => path.replaceAll("\\", "/"))
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
    const compiled = sources.flatMap((path) =>
      [".js", ".d.ts"].map((ending) => `dist/${path.replace(/\.ts$/, ending)}`),
    );
    expect(
      paths()
        .filter((path) => path.startsWith("dist/"))
        .toSorted(),
    ).toEqual([...compiled, ...PAGE, "dist/zod.js"].toSorted());
  });
});

describe("the install script of ONNX Runtime", () => {
  it.each(["ONNXRUNTIME_NODE_INSTALL", "npm_config_onnxruntime_node_install"])(
    "downloads nothing with %s=skip, and nothing that is needed",
    async (variable) => {
      const script = join(ROOT, "node_modules/onnxruntime-node/script/install.js");
      // A proxy that nobody listens on: a download would fail.
      const proxy = "http://127.0.0.1:9";
      const env = { ...process.env, [variable]: "skip", GLOBAL_AGENT_HTTPS_PROXY: proxy };
      const { stdout, stderr } = await run(process.execPath, [script], { env });
      expect(`${stdout}${stderr}`).not.toMatch(/download/i);
      // This checkout is installed without scripts (.npmrc), so every other test runs without what they would do.
      expect(readFileSync(join(ROOT, ".npmrc"), "utf8")).toContain("ignore-scripts=true");
    },
  );
});

describe("an empty project with the package", () => {
  const node = (...args: string[]) => run(process.execPath, args, { cwd: project });

  beforeAll(async () => {
    const output = join(project, "photos");
    await writeSynthetic({ output, identities: 12, imagesPerIdentity: 3, settings: imageSettings(112) });
  });

  it("takes zod from one file that has its licence, and all its modules do", () => {
    const dist = join(installed, "dist");
    expect(readFileSync(join(dist, "zod.js"), "utf8")).toContain("Copyright (c) 2025 Colin McDonnell");
    const modules = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".js"),
    );
    const importing = modules.filter((path) => /from "zod"/.test(readFileSync(join(dist, path), "utf8")));
    expect(importing).toEqual([]);
  });

  it("has the command", async () => {
    const { stdout } = await node(join(installed, "bin/faceid.js"), "--version");
    expect(stdout.trim()).toBe(manifest.version);
  });

  it("runs an example in JavaScript", { timeout: LONG }, async () => {
    const example = join(installed, "examples/train.js");
    const { stdout } = await node(example, "photos", "run", "models/example");
    expect(stdout).toContain("finished: all 2 epochs are done");
  });

  it("runs a program given on the command line", async () => {
    const program = `
      import { loadModel } from "faceid";
      const model = await loadModel("models/example");
      console.log(model.embeddingSize);
      await model.close();`;
    const { stdout } = await node("--input-type=module", "--eval", program);
    expect(stdout).toBe("128\n");
  });

  it("compiles an example in the strictest TypeScript, types of the package included, and runs it", {
    timeout: LONG,
  }, async () => {
    link("@types/node");
    link("undici-types");
    cpSync(join(installed, "examples/evaluate.js"), join(project, "source/evaluate.ts"));
    const compilerOptions = {
      target: "es2023",
      module: "nodenext",
      types: ["node"],
      rootDir: "source",
      outDir: "made",
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noPropertyAccessFromIndexSignature: true,
      skipLibCheck: false,
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["source"] }));
    const compiled = node(TSC, "-p", ".").catch((error: { stdout: string }) => ({ stdout: error.stdout }));
    expect((await compiled).stdout).toBe("");
    const { stdout } = await node("made/evaluate.js", "models/example", "page.html");
    expect(stdout).toContain("report page.html");
  });
});
