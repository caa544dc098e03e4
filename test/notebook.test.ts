/** @file The notebook's first cell that trains, as the script that it is, on six people of LFW; skipped without LFW or the pack. */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { readDescription } from "../src/artifact/description.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const ROOT = join(import.meta.dirname, "..");
const LFW = join(ROOT, "../shared/datasets/lfw");
const PACK = join(ROOT, "../shared/models/opencv");
const isThere = process.platform !== "win32" && existsSync(LFW) && existsSync(PACK);

interface Cell {
  readonly id: string;
  readonly cell_type: string;
  readonly source: readonly string[];
}

const { cells } = JSON.parse(readFileSync(join(ROOT, "notebooks/train_on_colab.ipynb"), "utf8")) as {
  cells: readonly Cell[];
};

describe("the notebook", () => {
  it("adapts the pretrained network before it trains anything else", () => {
    const training = cells.filter(
      ({ cell_type, source }) => cell_type === "code" && source.some((line) => /\bfaceid train\b/.test(line)),
    );
    expect(training[0]!.id).toBe("adapt");
    expect(training[0]!.source.join("")).toContain("--recipe adapt");
  });

  it.skipIf(!isThere)(
    "adapts to a folder of six people by the cell as it is",
    { timeout: 600_000 },
    async () => {
      const work = temporaryFolder("notebook");
      const [bin, photos] = [join(work, "bin"), join(work, "my-photos")];
      mkdirSync(bin);
      const command = join(bin, "faceid");
      writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, "bin/faceid.js")}" "$@"\n`);
      chmodSync(command, 0o755);
      const people = readdirSync(LFW, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => ({ name, count: readdirSync(join(LFW, name)).length }))
        .filter(({ count }) => count === 3)
        .slice(0, 6);
      for (const { name } of people) cpSync(join(LFW, name), join(photos, name), { recursive: true });
      const { npm_command: _npx, ...inherited } = process.env;
      const env = {
        ...inherited,
        PATH: `${bin}${delimiter}${process.env.PATH}`,
        MY_PHOTOS: photos,
        FACEID_MODELS_DIR: join(work, "packs"),
      };
      execFileSync(command, ["models", "add", "opencv-sface", "--from", PACK], { cwd: work, env });
      const [first, ...lines] = cells.find(({ id }) => id === "adapt")!.source;
      expect(first).toBe("%%bash\n");
      const run = () => execFileSync("bash", ["-c", lines.join("")], { cwd: work, env, encoding: "utf8" });
      const printed = run();
      expect(printed).toContain("too few people to fit to and to check on");
      expect(printed).toContain("saved model models/adapted/1");
      const description = await readDescription(join(work, "models/adapted/1"));
      expect(description).toMatchObject({ network: "sface", name: "adapted", framing: { kind: "aligned" } });
      expect(existsSync(join(work, "suspects.csv"))).toBe(true);
      // The cell may be run again.
      expect(run()).toBe("the adapted model is in models/adapted/1\n");
    },
  );
});
