/** @file A description that was edited by hand: every way to open the model names the field that contradicts it. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DESCRIPTION_FILE } from "../src/artifact/files.ts";
import { SHIPPED_VERSION } from "../src/artifact/shipped.ts";
import { quantizeModel } from "../src/jobs/quantize.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { loadModel } from "../src/verify/face-model.ts";
import { temporaryFolder } from "./support/photos.ts";

/** A copy of the shipped version with a text in its description replaced. */
async function edited(from: string | RegExp, to: string): Promise<string> {
  const folder = join(await temporaryFolder(), "1");
  await cp(SHIPPED_VERSION, folder, { recursive: true });
  const path = join(folder, DESCRIPTION_FILE);
  const text = await readFile(path, "utf8");
  expect(text).toMatch(from);
  await writeFile(path, text.replace(from, to));
  return folder;
}

describe.each([
  ["image.height: got 96, expected 112", '"height": 112', '"height": 96'],
  ["image.width: got 96, expected 112", '"width": 112', '"width": 96'],
  ["embeddingSize: got 64, expected 128", '"embeddingSize": 128', '"embeddingSize": 64'],
  ['it has the key "height" twice', '"height": 112', '"height": 112, "height": 96'],
  ["framing: got undefined, expected how faces lie", /"framing": \{[^}]*\},/, ""],
])("%s", (message, from, to) => {
  it("is refused by the library, the server and quantize", async () => {
    const folder = await edited(from, to);
    const refused = { code: "MODEL_INVALID", message: expect.stringContaining(message) };
    await expect(loadModel(folder)).rejects.toMatchObject(refused);
    const load = savedModelLoader({ sessions: 1 });
    await expect(load(folder, { name: "edited", version: 1n })).rejects.toMatchObject(refused);
    const output = join(await temporaryFolder(), "2");
    await expect(
      quantizeModel({ savedModel: folder, output, count: 8, weights: "float16" }),
    ).rejects.toMatchObject(refused);
  });
});
