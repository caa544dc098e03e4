/** @file Signatures that take image files: the server decodes what the graph would, and only what the graph would. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { Random } from "../../base/random.ts";
import { float32, floats, type Tensor, type TensorMap, tensor } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { decodePixels, encodeJpeg, encodePng } from "../../image/decode.ts";
import { resizeInto } from "../../image/resize.ts";
import { type SavedModel, SavedModelSchema } from "../../proto/tensorflow/graph_pb.ts";
import { writeSavedModel } from "../../savedmodel/write/write.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { savedModelLoader } from "../repository/loader.ts";
import { RequestMemory } from "../request-memory.ts";

const SIZE = { height: 4, width: 6, channels: 3 } as const;
const random = new Random(2);

/** Two images side by side: their means, a column for each. */
function means(names: readonly [string, string]) {
  const [a, b] = names.map((name) => g.input(name, ["batch", SIZE.height, SIZE.width, 3]));
  const mean = (node: typeof a) => g.reshape(g.reduceMean(node!, { axes: [1, 2, 3] }), [-1, 1]);
  return { inputs: [a!, b!] as const, both: g.concat([mean(a), mean(b)], 1) };
}

async function write(folder: string): Promise<void> {
  const [plain, encoded] = [means(["a", "b"]), means(["a_bytes", "b_bytes"])];
  await writeSavedModel(folder, {
    signatures: {
      serving_default: { inputs: { a: plain.inputs[0], b: plain.inputs[1] }, outputs: { both: plain.both } },
      encoded: {
        inputs: { a_bytes: encoded.inputs[0], b_bytes: encoded.inputs[1] },
        outputs: { both: encoded.both },
        decodesImages: true,
      },
    },
    parameters: new Map(),
  });
}

const noise = (height: number, width: number) =>
  Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
const strings = (...files: Uint8Array[]): Tensor => tensor("string", [files.length], files);

async function imagesOf(files: readonly Uint8Array[]): Promise<Tensor> {
  const size = SIZE.height * SIZE.width * 3;
  const out = new Float32Array(files.length * size);
  for (const [i, file] of files.entries()) await resizeInto(await decodePixels(file), SIZE, out, i * size);
  return float32([files.length, SIZE.height, SIZE.width, 3], out);
}

describe("a signature of image files", () => {
  let folder: string;
  let files: Record<"a" | "b", Uint8Array[]>;
  const open = (place = folder) => savedModelLoader({ sessions: 1 })(place, { name: "m", version: 1n });

  beforeAll(async () => {
    folder = join(await temporaryFolder(), "1");
    await write(folder);
    // More than are decoded at once.
    const several = async (...kinds: (() => Promise<Uint8Array>)[]) =>
      Promise.all([...kinds, ...kinds, ...kinds].map((make) => make()));
    files = {
      a: await several(
        () => encodeJpeg(noise(31, 20), 20, 31),
        () => encodePng(noise(4, 6), 6, 4),
      ),
      b: await several(
        () => encodePng(noise(3, 2), 2, 3),
        () => encodeJpeg(noise(90, 200), 200, 90),
      ),
    };
  });

  it("writes to no memory of the next request when one of two inputs is broken and the other still decoded", async () => {
    const model = await open();
    const many = Array.from({ length: 60 }, (_, i) => files.a[i % files.a.length]!);
    const memory = new RequestMemory();
    const inputs: TensorMap = new Map([
      ["a_bytes", strings(...many)],
      ["b_bytes", strings(Uint8Array.of(0xff, 0xd8, 0xff))],
    ]);
    await expect(model.makeReady!("encoded", inputs, { memory })).rejects.toThrow("cannot read the image");
    memory.release();
    using next = new RequestMemory();
    const data = next.array("float32", many.length * SIZE.height * SIZE.width * 3).fill(7);
    // Photographs are decoded in the order they came: when these are done, so are those.
    const later: TensorMap = new Map([
      ["a_bytes", strings(...files.a)],
      ["b_bytes", strings(...files.b)],
    ]);
    await model.makeReady!("encoded", later);
    expect(data.every((value) => value === 7)).toBe(true);
    await model.close();
  });

  it("gives the answers of the signature of floats", async () => {
    const model = await open();
    const encoded: TensorMap = new Map([
      ["a_bytes", strings(...files.a)],
      ["b_bytes", strings(...files.b)],
    ]);
    const plain: TensorMap = new Map([
      ["a", await imagesOf(files.a)],
      ["b", await imagesOf(files.b)],
    ]);
    const got = (await model.run("encoded", encoded, ["both"])).get("both")!;
    const wanted = (await model.run("serving_default", plain, ["both"])).get("both")!;
    expect(got.shape).toEqual([6, 2]);
    expect(floats(got)).toBeAllClose(floats(wanted), { absolute: 1e-6, relative: 0 });
    await model.close();
  });

  it("takes nothing but lists of JPEG and PNG files, and says which file is wrong", async () => {
    const model = await open();
    const run = (a: Tensor) =>
      model.run(
        "encoded",
        new Map([
          ["a_bytes", a],
          ["b_bytes", strings(files.b[0]!)],
        ]),
        ["both"],
      );
    await expect(run(strings(Buffer.from("GIF89a")))).rejects.toThrow(
      "a_bytes, file 0: neither JPEG nor PNG",
    );
    await expect(run(strings(files.a[0]!.subarray(0, 100)))).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
    await expect(run(tensor("string", [1, 1], [files.a[0]!]))).rejects.toThrow("got shape [1,1]");
    await model.close();
  });

  it("refuses 200,000 files by name, and too many images by number, before it asks for memory", async () => {
    const model = await open();
    const run = (a: Tensor, memory: RequestMemory) => {
      const inputs = new Map([
        ["a_bytes", a],
        ["b_bytes", strings(files.b[0]!)],
      ]);
      return model.run("encoded", inputs, ["both"], { memory });
    };
    // Whoever asks this budget for more than the first MiB is refused with other words.
    const memory = () => new RequestMemory(new MemoryBudget(1));
    const letters = Array.from({ length: 200_000 }, () => Buffer.from("a"));
    await expect(run(strings(...letters.slice(0, 1)), memory())).rejects.toThrow("a_bytes, file 0: neither");
    await expect(run(tensor("string", [letters.length], letters), memory())).rejects.toMatchObject({
      status: "INVALID_ARGUMENT",
      message: "a_bytes, file 0: neither JPEG nor PNG",
    });
    const many = Array.from({ length: 1_000_000 }, () => files.a[0]!);
    await expect(run(tensor("string", [many.length], many), memory())).rejects.toThrow(
      "1000000 images take 288000000 bytes at the size of the model",
    );
    await model.close();
  });

  async function edited(edit: (model: SavedModel) => void): Promise<string> {
    const place = join(await temporaryFolder(), "1");
    await write(place);
    const path = join(place, "saved_model.pb");
    const model = fromBinary(SavedModelSchema, await readFile(path));
    edit(model);
    await writeFile(path, toBinary(SavedModelSchema, model));
    return place;
  }

  const ask = async (place: string) => {
    const model = await open(place);
    const inputs = new Map([
      ["a_bytes", strings(...files.a)],
      ["b_bytes", strings(...files.b)],
    ]);
    try {
      return await model.run("encoded", inputs, ["both"]);
    } finally {
      await model.close();
    }
  };

  it("knows the decoding by what it does, not by its names", async () => {
    const place = await edited(({ metaGraphs }) => {
      const body = metaGraphs[0]!.graphDef!.library!.function[1]!;
      const step = body.nodeDef.find(({ name }) => name === "one")!;
      step.name = "renamed";
      const next = body.nodeDef.find(({ name }) => name === "next")!;
      next.input[1] = "renamed:output:0";
    });
    expect((await ask(place)).get("both")!.shape).toEqual([6, 2]);
  });

  it("refuses a decoding that does something else", async () => {
    const place = await edited(({ metaGraphs }) => {
      const body = metaGraphs[0]!.graphDef!.library!.function[1]!;
      body.nodeDef.find(({ op }) => op === "ScaleAndTranslate")!.attr.antialias!.value = {
        case: "b",
        value: false,
      };
    });
    await expect(ask(place)).rejects.toMatchObject({ status: "UNIMPLEMENTED" });
    const model = await open(place);
    expect(model.problems).toEqual([expect.stringMatching(/^signature encoded cannot run: .*DecodeJpeg/s)]);
    await model.close();
  });
});
