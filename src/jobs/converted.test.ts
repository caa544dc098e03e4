/** @file A network converted from ONNX without its framing in every other job: it works, or the error says why not and what to do. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { onnxFile } from "../../test/support/onnx-file.ts";
import { ONNX_NETWORKS } from "../../test/support/onnx-networks.ts";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { type Log, silentLog } from "../base/log.ts";
import { float32 } from "../base/tensor.ts";
import { modelComparer } from "../verify/face-comparer.ts";
import { convertModel } from "./convert.ts";
import { describeModel } from "./describe.ts";
import { evaluate } from "./evaluate.ts";
import { inspectModels } from "./inspect.ts";
import { quantizeModel } from "./quantize.ts";
import { loadSignatures } from "./signature-model.ts";
import { resume } from "./train.ts";

const SFACE = join(
  import.meta.dirname,
  "../../../shared/models/opencv/face_recognition_sface_2021dec_int8bq.onnx",
);

const work = await temporaryFolder();
const photos = join(work, "photos");

/** Converts a file and returns the version's folder with the lines of the log. */
async function converted(name: string, file: string) {
  const lines: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void lines.push(message) };
  const folder = join(work, name, "1");
  await convertModel(file, { savedModel: folder, log });
  return { folder, lines };
}

const written = (name: keyof typeof ONNX_NETWORKS) => {
  const file = join(work, `${name}.onnx`);
  writeFileSync(file, onnxFile(ONNX_NETWORKS[name]));
  return file;
};

beforeAll(() => writePhotos(photos, ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]));

async function holds(folder: string): Promise<void> {
  const [report] = await inspectModels(folder);
  expect(JSON.stringify(report)).toContain("serving_default");
  const described = await describeModel(folder);
  expect([described.trainable, described.nonTrainable]).toEqual([0, described.total]);
  expect(described.layers[0]?.kind).toBe("InputLayer");
  const quantised = quantizeModel({
    savedModel: folder,
    images: photos,
    output: join(folder, "q"),
    count: 2,
  });
  await expect(quantised).rejects.toMatchObject({
    code: "MODEL_UNSUPPORTED",
    hint: expect.stringContaining("serve them as they are"),
  });
  for (const job of [
    () => modelComparer("converted", folder, true),
    () => evaluate(folder, { data: { datasetPath: photos } }),
  ]) {
    await expect(job()).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      hint: expect.stringContaining("use a model pack"),
    });
  }
  await expect(resume(folder)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
}

describe("a converted network", () => {
  it("is served and inspected; every other job says why it cannot", async () => {
    const { folder, lines } = await converted("embedding", written("embedding"));
    expect(lines).toEqual([]);
    await holds(folder);
    await using model = await loadSignatures(folder);
    const image = float32([2, 3, 12, 12], new Float32Array(2 * 3 * 12 * 12).fill(0.5));
    const [output] = (await model.run("serving_default", new Map([["input.1", image]]))).values();
    expect(output?.shape[0]).toBe(2);
  });

  it("is announced when its 8-bit weights become floats", async () => {
    const { lines } = await converted("quantised", written("quantised"));
    expect(lines.join()).toMatch(
      /^\d+ weights that .*quantised\.onnx stores in 8 bits or fewer are written as floats/,
    );
  });

  it.skipIf(!existsSync(SFACE))(
    "of the pack does the same (skipped where ../shared has no pack)",
    async () => {
      const { folder, lines } = await converted("sface", SFACE);
      expect(lines[0]).toMatch(/^29 weights/);
      await holds(folder);
    },
  );
});
