/** @file `faceid summary` and `faceid plot` as somebody calls them, with real files. */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { readDescription } from "../../artifact/description.ts";
import { SAVED_MODEL_FILE } from "../../artifact/files.ts";
import { SHIPPED_MODEL, SHIPPED_VERSION } from "../../artifact/shipped.ts";
import { trainConfig } from "../../train/config.ts";
import { flagOf } from "../options.ts";
import { plotCommand, summaryCommand } from "./describe.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What a command prints. */
async function printed(work: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => lines.push(line));
  await work();
  return lines.join("\n");
}

const call = (...args: readonly string[]) => ["node", "faceid", ...args];
const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);

describe("faceid summary", () => {
  it("prints the table and draws it", async () => {
    const file = join(await temporaryFolder(), "images/summary.png");
    const text = await printed(() =>
      summaryCommand(new Command("summary")).parseAsync(call("--output", file)),
    );
    expect(text).toMatch(/Total params: 1,711,169 \(6\.8 MB\)\nTrainable params: 1,710,849/);
    expect((await readFile(file)).subarray(0, 4)).toEqual(Buffer.from(PNG));
    expect(text).toMatch(`\n\nwrote ${file}`);
  });

  it("is as narrow as COLUMNS says in a file or pipe", async () => {
    const longest = async () => {
      const text = await printed(() => summaryCommand(new Command("summary")).parseAsync(call()));
      vi.restoreAllMocks();
      return Math.max(...text.split("\n").map((line) => line.length));
    };
    const natural = await longest();
    vi.stubEnv("COLUMNS", "72");
    expect(await longest()).toBeLessThanOrEqual(72);
    vi.unstubAllEnvs();
    expect(natural).toBeGreaterThan(72);
  });

  it("follows model and image size", async () => {
    const args = call("--model", "mobilefacenet", "--image-shape", "96x128");
    const text = await printed(() => summaryCommand(new Command("summary")).parseAsync(args));
    expect(text).toContain('Model: "mobilefacenet"');
    expect(text).toContain("anchor_img (InputLayer)");
    expect(text).toContain("(None, 96, 128, 3)");
  });

  it("shows the backbones, the projection and the head of an ensemble, by options or by its path", async () => {
    const flags = ["--model", "closeup", "--crops", "0.55,0.7", "--mirror", "--projection-dim", "128"];
    const text = await printed(() => summaryCommand(new Command("summary")).parseAsync(call(...flags)));
    expect(text).toMatch(/closeup \(Functional\) .+ crop\[0]\[0], mirrored\[0]\[0]/);
    expect(text).toMatch(/metric \(Dense\) +\(None, 128\) +65,664 {3}views/);
    expect(text).toContain("Total params: 3,429,633");
  });

  it("takes a trained model's path instead", async () => {
    const { training } = (await readDescription(SHIPPED_VERSION))!;
    const config = trainConfig(training.config);
    const flags = [
      ...["--model", config.model, "--projection-dim", config.projectionDim],
      ...["--crop", config.crop, ...(config.mirror ? ["--mirror"] : [])],
    ];
    const shares = (["crops", "gaborCrops"] as const).flatMap((name) =>
      config[name].length === 0 ? [] : [flagOf(name), config[name].join(",")],
    );
    const text = await printed(() =>
      summaryCommand(new Command("summary")).parseAsync(call(...flags.map(String), ...shares)),
    );
    vi.restoreAllMocks();
    const shipped = await printed(() =>
      summaryCommand(new Command("summary")).parseAsync(call(SHIPPED_MODEL)),
    );
    // Its weights are in half precision: the size of its file takes the place of those of as many floats.
    const { size } = statSync(join(SHIPPED_VERSION, SAVED_MODEL_FILE));
    expect(shipped).toBe(
      `${text.replaceAll(/^(.* params: [\d,]+) \(.*\)$/gm, "$1").trimEnd()}\nSize of saved_model.pb: ${(size / 1e6).toFixed(1)} MB`,
    );
    await expect(
      summaryCommand(new Command("summary")).parseAsync(call(SHIPPED_MODEL, "--metric", "64")),
    ).rejects.toThrow(`--metric cannot change the layers of ${SHIPPED_MODEL}`);
    await expect(summaryCommand(new Command("summary")).parseAsync(call("src"))).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
    });
  });

  it("names the command in the title of its picture", async () => {
    const file = join(await temporaryFolder(), "summary.svg");
    await printed(() =>
      summaryCommand(new Command("summary")).parseAsync(
        call("--model", "compact", "--mirror", "--output", file),
      ),
    );
    expect(await readFile(file, "utf8")).toContain(">faceid summary --model compact --mirror<");
  });

  it.each([
    [["--model", "nobody"], "there is no model called nobody"],
    [["--image-shape", "20x20"], "an image side of 20 pixels is not supported"],
    [["--image-shape", "wide"], "--image-shape: got"],
  ])("refuses %j", async (args, message) => {
    await expect(summaryCommand(new Command("summary")).parseAsync(call(...args))).rejects.toThrow(message);
  });
});

describe("faceid plot", () => {
  it.each(["svg", "png"])("writes %s", async (ending) => {
    const file = join(await temporaryFolder(), `model.${ending}`);
    expect(await printed(() => plotCommand(new Command("plot")).parseAsync(call("--output", file)))).toBe(
      `wrote ${file}`,
    );
    const start = (await readFile(file)).subarray(0, 4);
    expect(start).toEqual(Buffer.from(ending === "svg" ? "<svg" : PNG));
  });

  it("says which files it can write", async () => {
    await expect(plotCommand(new Command("plot")).parseAsync(call("--output", "model.gif"))).rejects.toThrow(
      "--output: got model.gif, expected a name ending in .svg or .png",
    );
  });
});
