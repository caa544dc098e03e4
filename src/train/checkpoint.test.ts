/** @file Checkpoints that are none say what they are instead. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, tinyConfig } from "../../test/support/tiny-run.ts";
import { readCheckpoint, START, writeCheckpoint } from "./checkpoint.ts";
import type { SettledConfig } from "./config.ts";
import { writeSafetensors } from "./safetensors.ts";

const config = tinyConfig({ replicas: 1 }) as SettledConfig;

/** Why a file with this metadata is refused. */
async function refusal(metadata: Record<string, string>): Promise<unknown> {
  const path = join(temporaryFolder("checkpoint"), "x.safetensors");
  await writeFile(path, writeSafetensors(new Map(), metadata));
  return await readCheckpoint(path).catch((error: unknown) => error);
}

describe("readCheckpoint", () => {
  it("reads what was written", async () => {
    const path = join(temporaryFolder("checkpoint"), "x.safetensors");
    await writeCheckpoint(path, { config, progress: START, state: new Map() });
    expect(await readCheckpoint(path)).toEqual({ config, progress: START, state: new Map() });
  });

  it("names the setting that another version wrote otherwise", async () => {
    const [progress, other] = [JSON.stringify(START), JSON.stringify({ ...config, epochs: "many" })];
    expect(await refusal({ format: "faceid-checkpoint-1", config: other, progress })).toMatchObject({
      code: "CHECKPOINT_INVALID",
      hint: expect.stringMatching(/^another version wrote it: epochs: .*number/),
    });
  });

  it("names the format of other files", async () => {
    expect(await refusal({ format: "pt" })).toMatchObject({
      code: "CHECKPOINT_INVALID",
      hint: "expected format faceid-checkpoint-1, got pt",
    });
  });
});
