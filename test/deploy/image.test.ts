/** @file The image without an engine: the Dockerfile is linted, and its own steps are done on this machine. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTools, ROOT, run } from "./tools.ts";

const tools = await openTools();
/** The files of a model pack, where they are at hand. */
const PACK_FILES = join(ROOT, "../shared/models/opencv");
const DOCKERFILE = readFileSync(join(ROOT, "Dockerfile"), "utf8");

describe.skipIf("unavailable" in tools)("the Dockerfile", () => {
  if ("unavailable" in tools) return;

  it("gives the linter nothing to say", async () => {
    const { code, stdout } = await tools.run("hadolint", ["--no-color", "Dockerfile"]);
    expect(stdout).toBe("");
    expect(code).toBe(0);
  });

  it("pins every image it takes from elsewhere", () => {
    const stages = new Set([...DOCKERFILE.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name));
    const defaults = new Map(
      [...DOCKERFILE.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
    );
    const foreign = [...DOCKERFILE.matchAll(/^FROM (\S+)/gm)]
      .map(([, image]) => image!.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => defaults.get(name) ?? "?"))
      .filter((image) => !stages.has(image));
    expect(foreign.length).toBeGreaterThan(1);
    for (const image of foreign) expect(image).toMatch(/^[\w./-]+:[a-z]*-?\d[\w.]+-[\w.-]+$/);
  });

  it("ends in a stage that runs as somebody without rights, by its own entry point, and can be asked for its health", () => {
    const runtime = DOCKERFILE.slice(DOCKERFILE.indexOf("AS runtime"));
    expect(runtime).toMatch(/^USER 1000:1000$/m);
    expect(runtime).toMatch(/^ENTRYPOINT \["node",/m);
    expect(runtime).toMatch(/^HEALTHCHECK .*\\\n {2}CMD \["node", "-e", ".*\/readyz/m);
    expect(runtime).not.toMatch(/^RUN/m);
  });
});

describe.skipIf("unavailable" in tools || process.platform !== "linux")("the image's steps", () => {
  if ("unavailable" in tools) return;
  const context = mkdtempSync(join(tmpdir(), "faceid-context-"));
  let files: readonly string[];
  beforeAll(async () => {
    files = (await tools.script("build_context.py", ROOT, context)) as string[];
  });
  afterAll(() => rmSync(context, { recursive: true, force: true }));

  it("begin with a context of sources alone", () => {
    for (const needed of ["Dockerfile", "package.json", "package-lock.json", ".npmrc", "bin/faceid.js"]) {
      expect(files).toContain(needed);
    }
    expect(existsSync(join(context, "src/cli/main.ts"))).toBe(true);
    expect(files.filter((name) => /(^|\/)(test|node_modules|dist|\.git|\.env)(\/|$)/.test(name))).toEqual([]);
    expect(files.filter((name) => name.endsWith(".test.ts"))).toEqual([]);
  });

  it("build, train, stop and go on, serve, pass the health check and end with 0 on SIGTERM", async () => {
    const withPack = existsSync(PACK_FILES);
    for (const name of withPack ? readdirSync(PACK_FILES) : [])
      copyFileSync(join(PACK_FILES, name), join(context, "deploy/packs", name));
    const { code, stdout, stderr } = await run("bash", ["scripts/image-steps.sh", context, tools.node24], {
      environment: withPack ? { PACK: "opencv-sface", PACK_FROM: "deploy/packs" } : {},
    });
    expect(code, stdout + stderr).toBe(0);
    if (withPack) expect(stdout).toMatch(/^opencv-sface .*, here$/m);
    else process.stderr.write(`skipped: a model pack in the image, since ${PACK_FILES} has none\n`);
    expect(stdout).toMatch(/health check: passed/);
    expect(stdout).toMatch(/stopped, resumed and exported/);
    expect(stdout).toContain("SIGTERM: exit code 0");
    // Whatever is left out without root is said; as root nothing is.
    if (process.getuid?.() === 0) expect(stdout).toContain("user nobody, read-only root");
  });
});
