/** @file A model that is read and written again keeps its signatures, its numbers and its size. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { evaluate } from "../../../test/support/evaluate.ts";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { Random } from "../../base/random.ts";
import { float32, floats } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { matchDecodeLoops } from "../read/match-decode-loop.ts";
import { readSavedModel } from "../read/read.ts";
import { contentOf } from "./rewrite.ts";
import { writeSavedModel } from "./write.ts";

it("writes a model that was read with everything it had, weights stored once", async () => {
  const folder = await temporaryFolder();
  const [first, second] = [join(folder, "1"), join(folder, "2")];
  const random = new Random(9);
  const kernel = float32(
    [48, 50],
    Float32Array.from({ length: 2400 }, () => random.normal()),
  );
  const weight = g.parameter("kernel", [48, 50]);
  const score = (image: ReturnType<typeof g.input>) => g.matmul(g.flatten(image), weight);
  // Two signatures call different values x.
  const [image, file, row] = [
    g.input("image", ["batch", 4, 4, 3]),
    g.input("file", ["batch", 4, 4, 3]),
    g.input("row", ["batch", 48]),
  ];
  await writeSavedModel(first, {
    signatures: {
      images: { inputs: { x: image }, outputs: { y: score(image) } },
      files: { inputs: { x: file }, outputs: { y: score(file) }, decodesImages: true },
      rows: { inputs: { x: row }, outputs: { y: g.matmul(row, weight) } },
    },
    parameters: new Map([["kernel", kernel]]),
  });
  await writeSavedModel(second, await contentOf(await readSavedModel(first)));
  const [before, after] = [await readSavedModel(first), await readSavedModel(second)];
  expect([...after.signatures.keys()].sort()).toEqual(["files", "images", "rows"]);
  for (const [name, signature] of after.signatures) {
    const sides = ({ inputs }: typeof signature) => [...inputs].map(([alias, { shape }]) => [alias, shape]);
    expect(sides(signature)).toEqual(sides(before.signatures.get(name)!));
  }
  expect(matchDecodeLoops(after.graph, after.signatures.get("files")!)?.sizes).toEqual(
    new Map([["x", { height: 4, width: 4 }]]),
  );
  const x = float32(
    [2, 48],
    Float32Array.from({ length: 96 }, () => random.normal()),
  );
  const run = async (model: typeof before) => {
    const { inputs, outputs } = await model.program("rows");
    return evaluate([outputs.y!], { inputs: new Map([[inputs.x!.attrs.name, x]]) })[0]!;
  };
  expect(floats(await run(after))).toEqual(floats(await run(before)));
  const size = (version: string) => statSync(join(version, "saved_model.pb")).size;
  expect(Math.abs(size(second) - size(first))).toBeLessThan(500);
});
