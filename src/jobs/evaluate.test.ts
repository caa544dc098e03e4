/** @file Measuring by a pairs file: what is said of people whom the model was trained on. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { tinyConfig } from "../../test/support/tiny-run.ts";
import { readDescription } from "../artifact/description.ts";
import { splitAsTrained } from "../artifact/trained-people.ts";
import { foldText } from "../evaluate/report-text.ts";
import { evaluateFolds } from "./evaluate.ts";
import { trainAndExport } from "./train.ts";

/** Two folds of one pair of each kind. */
const foldsOf = (a: string, b: string) => `2 1\n${a} 1 2\n${a} 1 ${b} 1\n${b} 1 2\n${a} 2 ${b} 2\n`;

describe("a measurement by a pairs file", () => {
  it("says how many of its people took part in the training, where the model knows", async () => {
    const place = await temporaryFolder();
    const photos = join(place, "photos");
    const names = Array.from({ length: 8 }, (_, i) => `p${i}`);
    await writePhotos(
      photos,
      names.flatMap((name) => [`${name}/1.png`, `${name}/2.png`]),
    );
    const { dataset: _drawn, idTo: _idTo, ...mine } = tinyConfig({ epochs: 1, replicas: 1 });
    const folder = join(place, "run");
    const models = join(place, "models");
    await trainAndExport({
      config: { ...mine, datasetPath: photos },
      folder,
      target: { savedModelPath: models, modelName: "x", modelVersion: 1 },
    });
    const people = (await readDescription(join(models, "1")))!.training!.people!;
    const split = splitAsTrained(
      names.map((name) => ({ name })),
      people,
    );
    const [[seen], [one, other]] = [split.train, split.test];
    const pairs = join(place, "pairs.txt");
    const measured = async (model: string, a: string, b: string) => {
      writeFileSync(pairs, foldsOf(a, b));
      return await evaluateFolds(model, pairs);
    };
    for (const model of [folder, models]) {
      const fresh = await measured(model, one!.name, other!.name);
      expect(fresh.people).toEqual({ count: 2, trained: 0 });
      expect(foldText(fresh)).not.toContain("training");
      const mixed = await measured(model, one!.name, seen!.name);
      expect(mixed.people).toEqual({ count: 2, trained: 1 });
      expect(foldText(mixed)).toContain(
        "\n1 of the 2 people of these pairs took part in the model's training, so it looks better here than it is; without --pairs the people held out are measured on\n",
      );
    }
    // A folder of other people may have the same names.
    writeFileSync(pairs, foldsOf("p0", "p1"));
    const elsewhere = await temporaryFolder();
    await writePhotos(elsewhere, ["p0/1.png", "p0/2.png", "p1/1.png", "p1/2.png"]);
    const report = await evaluateFolds(models, pairs, { data: { datasetPath: elsewhere } });
    expect(report.people).toBeUndefined();
  });
});
