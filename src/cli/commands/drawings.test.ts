/** @file `faceid summary` and `faceid plot` as somebody calls them, with real files. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { plotCommand } from "./plot.ts";
import { summaryCommand } from "./summary.ts";

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
    const text = await printed(() => summaryCommand().parseAsync(call("--output", file)));
    expect(text).toMatch(/Total params: 1,711,169 \(6\.53 MB\)\nTrainable params: 1,710,849/);
    expect((await readFile(file)).subarray(0, 4)).toEqual(Buffer.from(PNG));
  });

  it("follows model and image size", async () => {
    const args = call("--model", "mobilefacenet", "--image-shape", "96x128");
    const text = await printed(() => summaryCommand().parseAsync(args));
    expect(text).toContain('Model: "mobilefacenet"');
    expect(text).toContain("anchor_img (InputLayer)");
    expect(text).toContain("(None, 96, 128, 3)");
  });

  it.each([
    [["--model", "nobody"], "there is no model called nobody"],
    [["--image-shape", "20x20"], "an image side of 20 pixels is not possible"],
    [["--image-shape", "wide"], "--image-shape: got"],
  ])("refuses %j", async (args, message) => {
    await expect(summaryCommand().parseAsync(call(...args))).rejects.toThrow(message);
  });
});

describe("faceid plot", () => {
  it.each(["svg", "png"])("writes %s", async (ending) => {
    const file = join(await temporaryFolder(), `model.${ending}`);
    expect(await printed(() => plotCommand().parseAsync(call("--output", file)))).toBe(`wrote ${file}`);
    const start = (await readFile(file)).subarray(0, 4);
    expect(start).toEqual(Buffer.from(ending === "svg" ? "<svg" : PNG));
  });

  it("says which files it can write", async () => {
    await expect(plotCommand().parseAsync(call("--output", "model.gif"))).rejects.toThrow(
      "--output: got model.gif, expected a name ending in .svg or .png",
    );
  });
});
