/** @file The examples, run one after the other as their first lines say, on drawn photographs; and checked by the compiler. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { writeSynthetic } from "../src/data/drawn.ts";
import { imageSettings } from "../src/image/settings.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const EXAMPLES = join(ROOT, "examples");
const work = temporaryFolder("examples");
const PEOPLE = 20;

async function example(name: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await run(process.execPath, [join(EXAMPLES, name), ...args], { cwd: work });
  return stdout.trimEnd().split("\n");
}

/** Starts an example that stays, and gives the two ports that it says. */
function start(name: string, ...args: string[]): Promise<{ server: ChildProcess; ports: string[] }> {
  const server = spawn(process.execPath, [join(EXAMPLES, name), ...args], { cwd: work });
  return new Promise((resolve, reject) => {
    server.stdout.on("data", (data: Buffer) => resolve({ server, ports: String(data).match(/\d+/g)! }));
    server.once("exit", () => reject(new Error(`${name} ended`)));
  });
}

beforeAll(async () => {
  const output = join(work, "photos");
  await writeSynthetic({ output, identities: PEOPLE, imagesPerIdentity: 4, settings: imageSettings(112) });
});

describe("examples", () => {
  it("train and export", { timeout: 400_000 }, async () => {
    const lines = await example("train.js", "photos", "runs/example", "models/example");
    expect(lines).toEqual([
      expect.stringMatching(`^${PEOPLE} people in digiface `),
      expect.stringMatching(/^epoch 1: loss 0\.\d{3}, validation accuracy [01]/),
      expect.stringMatching(/^epoch 2: loss 0\.\d{3}, validation accuracy [01]/),
      "finished: all 2 epochs are done",
      expect.stringMatching(/^ROC AUC [01]\.\d{3}, between/),
      `saved model ${join("models/example", "1")}`,
    ]);
  });

  it("measure and write the page", async () => {
    const lines = await example("evaluate.js", "models/example", "page.html");
    expect(lines[0]).toMatch(/^\d+ pairs, equal error rate \d/);
    expect(lines.at(-1)).toBe("report page.html");
    expect(readFileSync(join(work, "page.html"), "utf8")).toContain("<title>Example</title>");
  });

  it("embed a folder and compare", async () => {
    const lines = await example("embed-folder.js", "models/example", join("photos", "0"));
    expect(lines).toHaveLength(6);
    for (const line of lines)
      expect(line).toMatch(/^[01]\.\d{4} {2}(one person|two people) {2}\d\.png \d\.png$/);
    const scores = lines.map((line) => Number(line.slice(0, 6)));
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  });

  it("serve, and ask over REST and gRPC", async () => {
    const { server, ports } = await start("serve.js", "models/example", "0", "0");
    const photos = [join("photos", "0", "0.png"), join("photos", "1", "0.png")];
    const [rest, grpc] = await example(
      "request.js",
      ...photos,
      `http://localhost:${ports[0]}`,
      `localhost:${ports[1]}`,
    );
    expect(rest).toMatch(/^REST [01]\.\d{4}$/);
    expect(grpc?.slice(5)).toBe(rest?.slice(5));
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    if (process.platform !== "win32") expect(await ended).toBe(0);
  });

  it("say what is wrong", async () => {
    const photos = [join("photos", "0", "0.png"), join("photos", "1", "0.png")];
    await expect(example("request.js", ...photos, "http://localhost:2")).rejects.toMatchObject({
      code: 9,
      stderr: expect.stringMatching(/^SERVER_UNREACHABLE: no server answers at http:\/\/localhost:2/),
    });
  });

  it("run a model by its signatures", async () => {
    const lines = await example("foreign-model.js", join("models/example", "1"));
    expect(lines).toContain("serving_default: anchor_img, verification_img → classifier");
    expect(lines.at(-1)).toMatch(/^classifier \[1, 1\]: 0\.\d+$/);
  });

  it("are short, say how to run them, and pass the strict compiler", async () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".js"));
    for (const file of files) {
      const text = readFileSync(join(EXAMPLES, file), "utf8");
      expect(text.split("\n").length, file).toBeLessThanOrEqual(41);
      expect(text, file).toContain(`examples/${file}`);
    }
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    expect(existsSync(tsc)).toBe(true);
    const flags =
      "--noEmit --allowJs --checkJs --strict --target es2023 --module nodenext --types node --skipLibCheck";
    const paths = files.map((file) => join(EXAMPLES, file));
    await run(process.execPath, [tsc, ...flags.split(" "), "--ignoreConfig", ...paths], { cwd: ROOT });
  });
});
