/** @file The whole job: what it says first, what it refuses before training, and how it goes on after an early end. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder as photoFolder, writePhotos } from "../../test/support/photos.ts";
import { temporaryFolder, tinyConfig } from "../../test/support/tiny-run.ts";
import type { StartSummary } from "../train/start-summary.ts";
import { recordedTarget, resume, train, trainAndExport } from "./train.ts";

const target = (savedModelPath: string, modelVersion = 1) => ({
  savedModelPath,
  modelName: "x",
  modelVersion,
});
const config = tinyConfig({ epochs: 1, replicas: 1 });

describe("before it trains, a job", () => {
  it("says what it found, what is left out and stored twice, and when people are too few", async () => {
    const root = await photoFolder();
    const files = Array.from({ length: 8 }, (_, i) => [`p${i}/1.png`, `p${i}/2.png`]).flat();
    await writePhotos(root, [...files, "loose.png"]);
    writeFileSync(join(root, "p1/clip.mp4"), "film");
    writeFileSync(join(root, "p1/again.png"), readFileSync(join(root, "p0/1.png")));
    const folder = temporaryFolder("summary");
    const said: StartSummary[] = [];
    const controller = new AbortController();
    const { dataset: _drawn, idTo: _idTo, ...mine } = config;
    await expect(
      trainAndExport({
        config: { ...mine, datasetPath: root },
        folder,
        signal: controller.signal,
        onStart: (summary) => {
          said.push(summary);
          controller.abort();
        },
      }),
    ).rejects.toMatchObject({ code: "INTERRUPTED" });
    const [summary] = said;
    expect(summary).toMatchObject({
      people: 8,
      photographs: 17,
      split: { train: 4, validation: 2, test: 2 },
      duplicates: { ofOnePerson: 0, ofTwoPeople: 1 },
      network: "compact",
      epochs: 1,
    });
    expect(summary!.parameters).toBeGreaterThan(10_000);
    expect(summary!.leftOut.map(({ count }) => count)).toEqual([1, 1]);
    expect(summary!.warnings.join("\n")).toMatch(
      /left out: 1 video,[\s\S]*left out: 1 photograph outside[\s\S]*1 photograph is filed under two people[\s\S]*4 people .* are too few to train .* faceid verify a\.jpg b\.jpg[\s\S]*2 people .* held out to measure/,
    );
  });

  it("offers the next version where the wanted one exists, by a command that can be pasted", async () => {
    const models = join(temporaryFolder("taken"), "my models");
    for (const version of ["1", "2", "7"]) mkdirSync(join(models, version), { recursive: true });
    const command = ["faceid", "train", "--model-version", "2", "--saved-model-path", models];
    await expect(
      trainAndExport({ config, folder: temporaryFolder("run"), target: target(models, 2), command }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      hint: expect.stringContaining(`faceid train --saved-model-path '${models}' --model-version 8`),
    });
  });

  it("offers a folder for the run, too, where the usual one holds a run", async () => {
    const place = temporaryFolder("taken-run");
    const folder = join(place, "latest");
    for (const run of [folder, `${folder}-2`]) {
      mkdirSync(run);
      writeFileSync(join(run, "last.safetensors"), "");
    }
    mkdirSync(join(place, "models/1"), { recursive: true });
    const command = ["faceid", "train", "--output", folder];
    const to = target(join(place, "models"));
    await expect(trainAndExport({ config, folder, target: to, command })).rejects.toMatchObject({
      message: expect.stringMatching(/1 exists already$/),
      hint: expect.stringContaining(`faceid train --output ${folder}-3 --model-version 2;`),
    });
    await expect(trainAndExport({ config, folder, command })).rejects.toMatchObject({
      message: `${folder} holds a run already`,
      hint: `continue it with: faceid train --resume ${folder}; or begin another: faceid train --output ${folder}-3`,
    });
  });

  it("notices a target that cannot be written to, and leaves nothing there", async () => {
    const place = temporaryFolder("unwritable");
    writeFileSync(join(place, "file"), "");
    const folder = join(place, "run");
    const job = { config, folder, target: target(join(place, "file", "models")) };
    await expect(trainAndExport(job)).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: expect.stringContaining(join(place, "file", "models", "1")),
    });
    expect(readdirSync(place)).toEqual(["file"]);
  });
});

describe("a run that ended before its first checkpoint", () => {
  it("can be resumed, and can be trained into", async () => {
    const folder = temporaryFolder("early");
    await train({ config, folder });
    const straight = readFileSync(join(folder, "last.safetensors"));
    const left = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    for (const name of left) rmSync(join(folder, name));
    expect((await resume(folder)).end.reason).toBe("finished");
    // Times are part of the file, so its size must do.
    expect(readFileSync(join(folder, "last.safetensors")).length).toBeCloseTo(straight.length, -2);
    for (const name of left) rmSync(join(folder, name));
    expect((await train({ config, folder })).end.reason).toBe("finished");
    const lines = readFileSync(join(folder, "log.jsonl"), "utf8").trim().split("\n");
    expect(lines.filter((line) => line.startsWith('{"kind":"start"'))).toHaveLength(1);
  });

  it("remembers where its model was to go", async () => {
    const place = temporaryFolder("remembered");
    const folder = join(place, "my run");
    const controller = new AbortController();
    const job = { config, folder, target: target(join(place, "models"), 3), signal: controller.signal };
    await expect(
      trainAndExport({ ...job, listeners: [{ onRunStart: () => controller.abort() }] }),
    ).rejects.toMatchObject({ hint: `continue with: faceid train --resume '${folder}'` });
    expect(existsSync(join(place, "models"))).toBe(false);
    expect(await recordedTarget(folder)).toEqual(target(join(place, "models"), 3));
    expect(await recordedTarget(place)).toBeUndefined();
    const outcome = await trainAndExport({
      config,
      folder,
      resume: true,
      target: (await recordedTarget(folder))!,
    });
    expect(outcome.exported).toBe(join(place, "models", "3"));
  });
});
