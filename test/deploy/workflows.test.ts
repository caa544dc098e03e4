/** @file The GitHub workflows: schema, actionlint, and that they run what this package has. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openTools, ROOT, run } from "./tools.ts";

const FOLDER = join(ROOT, ".github/workflows");
const FILES = readdirSync(FOLDER).map((name) => `.github/workflows/${name}`);
/** The checker's own module, built by Go's tool: its Python packages download it from elsewhere. */
const ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

const tools = await openTools();
const canRunActionlint = await run("go", ["run", ACTIONLINT, "-version"]).then(
  ({ code }) => code === 0,
  () => false,
);
if (!canRunActionlint)
  process.stderr.write("skipped: actionlint cannot be had (it needs Go and its modules)\n");

interface Job {
  readonly steps?: readonly { readonly run?: string; readonly uses?: string }[];
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly "timeout-minutes"?: number;
  readonly uses?: string;
}

describe.skipIf("unavailable" in tools)("the workflows", () => {
  if ("unavailable" in tools) return;
  const jobsOf = async (file: string) => {
    const [workflow] = (await tools.script("read_yaml.py", join(ROOT, file))) as {
      jobs: Record<string, Job>;
    }[];
    return workflow!.jobs;
  };

  it.each(FILES)("%s keeps the schema", async (file) => {
    const schema = ["--builtin-schema", "vendor.github-workflows"];
    const { code, stdout } = await tools.run("check-jsonschema", [...schema, file]);
    expect(code, stdout).toBe(0);
  });

  it.skipIf(!canRunActionlint)("give actionlint nothing to say", async () => {
    const { code, stdout } = await run("go", ["run", ACTIONLINT, "-no-color", ...FILES]);
    expect(stdout).toBe("");
    expect(code).toBe(0);
  });

  it("run the README's two commands on three systems and three versions of Node", async () => {
    const { commands } = await jobsOf(".github/workflows/ci.yml");
    expect(commands!.strategy!.matrix).toEqual({
      os: ["ubuntu-latest", "macos-latest", "windows-latest"],
      node: [20, 22, 24],
    });
    const runs = commands!.steps!.map((step) => step.run).filter((line) => line !== undefined);
    expect(runs).toEqual(["bash .ci/run test quickstart"]);
  });

  it("call every stage of .ci/run, which are those that it runs by default", async () => {
    const script = readFileSync(join(ROOT, ".ci/run"), "utf8");
    const stages = [...script.matchAll(/^stage_(\w+)\(\)/gm)].map(([, name]) => name!);
    expect(script).toContain(`set -- ${stages.join(" ")}`);
    const jobs = Object.values(await jobsOf(".github/workflows/ci.yml"));
    const called = jobs
      .flatMap(({ steps = [] }) => steps)
      .flatMap(({ run: text = "" }) => /^bash \.ci\/run (.+)$/.exec(text)?.[1]?.split(" ") ?? []);
    expect(called.toSorted()).toEqual(stages.toSorted());
  });

  it("call only scripts of package.json, pin every action, and end by themselves", async () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object };
    const jobs = (await Promise.all(FILES.map(jobsOf))).flatMap((found) => Object.values(found));
    const own = jobs.filter(({ uses }) => uses === undefined);
    expect(own.every((job) => (job["timeout-minutes"] ?? 0) > 0)).toBe(true);
    const steps = own.flatMap((job) => job.steps ?? []);
    const actions = steps.flatMap(({ uses = [] }) => uses);
    expect(actions.filter((uses) => !/@v\d/.test(uses))).toEqual([]);
    const texts = [...steps.map(({ run: text = "" }) => text), readFileSync(join(ROOT, ".ci/run"), "utf8")];
    const called = texts.flatMap((text) =>
      [...text.matchAll(/\bnpm run (?:--silent )?([\w:]+)|^ +vitest ([\w:]+)$/gm)].map(
        ([, script, tests]) => (script ?? tests)!,
      ),
    );
    expect(called.length).toBeGreaterThan(8);
    for (const name of called) expect(scripts).toHaveProperty(name);
  });
});
