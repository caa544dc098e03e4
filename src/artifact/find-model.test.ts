/** @file A model is found however people keep it; anything else is named by its content, with what to do. */
import { cp, mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { zipOf } from "../../test/support/archives.ts";
import { onnxFile } from "../../test/support/onnx-file.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { randomNetwork } from "../../test/support/random-network.ts";
import { writeHalfPlusTwo } from "../../test/support/saved-models.ts";
import { findModel } from "./find-model.ts";
import { SHIPPED_MODEL } from "./shipped.ts";

let root: string;
const at = (...names: string[]) => join(root, ...names);

beforeAll(async () => {
  root = await temporaryFolder();
});

async function write(path: string, content: string | Uint8Array): Promise<string> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), content);
  return at(path);
}

const zipped = (files: Record<string, string>) =>
  zipOf(Object.entries(files).map(([path, content]) => ({ path, content })));

const ONNX = onnxFile(randomNetwork(4));

describe("a model", () => {
  const found = async (path: string) => {
    const { format, file, note } = await findModel(at(path));
    return [format, file.slice(root.length + 1), note?.replaceAll(root, "")];
  };

  it("is a version's folder, its file, or an ONNX file of any name", async () => {
    await writeHalfPlusTwo(at("plain/1"));
    expect(await found("plain/1")).toEqual(["savedmodel", "plain/1/saved_model.pb", undefined]);
    expect(await found("plain/1/saved_model.pb")).toEqual([
      "savedmodel",
      "plain/1/saved_model.pb",
      undefined,
    ]);
    await write("nets/net.ONNX", ONNX);
    expect(await found("nets/net.ONNX")).toEqual(["onnx", "nets/net.ONNX", undefined]);
    await write("nets/1/resnet50.onnx", ONNX);
    expect(await found("nets/1")).toEqual(["onnx", "nets/1/resnet50.onnx", "/nets/1: taking resnet50.onnx"]);
    await write("nets/without-an-ending", ONNX);
    expect(await found("nets/without-an-ending")).toEqual(["onnx", "nets/without-an-ending", undefined]);
  });

  it("may lie a level too deep, or in one folder inside", async () => {
    await writeHalfPlusTwo(at("deep/1/saved_model.pb"));
    expect(await found("deep/1")).toEqual(["savedmodel", "deep/1/saved_model.pb/saved_model.pb", undefined]);
    await writeHalfPlusTwo(at("inside/1/export"));
    expect((await found("inside/1"))[1]).toBe("inside/1/export/saved_model.pb");
    await write("deep-onnx/1/model.onnx/model.onnx", ONNX);
    expect((await found("deep-onnx/1"))[1]).toBe("deep-onnx/1/model.onnx/model.onnx");
  });

  it.each([
    [["1", "2", "10"], "10"],
    [["v1", "v2"], "v2"],
    [["001", "1"], "1"],
    [["V3", "0002"], "V3"],
    [["20260101120000", "3"], "20260101120000"],
  ])("is the highest of the versions %j", async (versions, highest) => {
    const base = `versions-${versions.join("-")}`;
    for (const version of versions) await writeHalfPlusTwo(at(base, version));
    expect(await found(base)).toEqual([
      "savedmodel",
      `${base}/${highest}/saved_model.pb`,
      `/${base}: taking version ${highest}, the highest of ${versions.length}`,
    ]);
  });

  it("is refused where the meaning is not certain", async () => {
    await write("two/1/a.onnx", ONNX);
    await write("two/1/b.onnx", ONNX);
    await expect(findModel(at("two/1"))).rejects.toThrow("holds several ONNX files: a.onnx, b.onnx");
    await writeHalfPlusTwo(at("several/left"));
    await writeHalfPlusTwo(at("several/right"));
    await expect(findModel(at("several"))).rejects.toThrow("holds several models: left, right");
  });
});

describe("what is no model that can be read", () => {
  /** A field of a protocol buffer with a message of less than 128 bytes in it. */
  const field = (number: number, content: Uint8Array | string) =>
    Buffer.concat([Buffer.of(number * 8 + 2, content.length), Buffer.from(content)]);
  const node = Buffer.concat([field(1, "a"), field(2, "Placeholder")]);
  const graph = Buffer.concat([field(1, node), field(1, node), field(1, node)]);
  const meta = Buffer.concat([field(1, field(4, "train")), field(2, field(1, node))]);
  const tar = Buffer.alloc(1024);
  tar.write("1/saved_model.pb");
  tar.write("ustar", 257);
  const safetensors = Buffer.concat([Buffer.from([40, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{"weight":{}}')]);

  it.each<[string, () => Uint8Array | string | Promise<Uint8Array>, string, RegExp]>([
    ["model.h5", () => "\x89HDF\r\n\x1a\nrest", "a Keras model in HDF5", /\.export\(/],
    [
      "model.keras",
      () => zipped({ "metadata.json": "{}", "config.json": "{}" }),
      "a Keras model (.keras)",
      /export/,
    ],
    ["model.pt", () => zipped({ "archive/data.pkl": "x" }), "a PyTorch file", /torch\.onnx\.export/],
    ["old.pth", () => Buffer.from([0x80, 2, 0x8a, 10]), "a PyTorch file", /torch\.onnx\.export/],
    ["model.tflite", () => "\x1c\0\0\0TFL3rest", "a TensorFlow Lite model", /tf2onnx/],
    ["frozen.pb", () => graph, "a frozen GraphDef", /--graphdef/],
    ["model.ckpt.meta", () => meta, "the graph of a TensorFlow 1 checkpoint", /import_meta_graph/],
    ["model.ckpt.index", () => "\0\0\0\0", "a TensorFlow checkpoint", /saved_model\.save/],
    ["model.ckpt.data-00000-of-00001", () => "\0\0\0\0", "a TensorFlow checkpoint", /saved_model\.save/],
    [
      "pointer.onnx",
      () => "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
      "a pointer of Git LFS",
      /git lfs pull/,
    ],
    [
      "annex.onnx",
      () => "../.git/annex/objects/Xx/Yy/SHA256E-s1--a/SHA256E-s1--a\n",
      "a pointer of git-annex",
      /git annex get/,
    ],
    ["page.onnx", () => "\n<!DOCTYPE html>\n<html>", "a web page", /the file itself/],
    ["page2.onnx", () => "<html lang=en>", "a web page", /the file itself/],
    [
      "denied.onnx",
      () => '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
      "an XML document",
      /./,
    ],
    ["error.onnx", () => '{"error": "not found"}', "JSON", /again/],
    ["model.zip", () => zipped({ "1/saved_model.pb": "x" }), "a zip archive of a model", /unpack/],
    ["other.zip", () => zipped({ "readme.txt": "x" }), "a zip archive", /unpack/],
    ["model.tar.gz", () => gzipSync("x"), "a gzip archive", /unpack/],
    ["model.tar", () => tar, "a tar archive", /unpack/],
    [
      "saved_model.pbtxt",
      () => "saved_model_schema_version: 1\nmeta_graphs {",
      "a model in text form",
      /saved_model\.save/,
    ],
    ["weights.safetensors", () => safetensors, "a safetensors file", /faceid export/],
    ["weights.npz", () => zipped({ "a.npy": "x" }), "a NumPy archive", /ONNX/],
    ["face.onnx", () => "\xff\xd8\xff\xe0", "an image", /model/],
    ["empty.onnx", () => "", "empty", /copy it again/],
  ])("is recognised: %s", async (name, make, is, hint) => {
    const content = await make();
    const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
    const path = await write(`kinds/${name}`, bytes);
    const refusal = {
      message: expect.stringContaining(`${path} is ${is}`),
      hint: expect.stringMatching(hint),
    };
    await expect(findModel(path)).rejects.toMatchObject(refusal);
    // Under the name of a model, and in a version's folder, it is the same.
    const disguised = await write(`disguised-${name}/1/saved_model.pb`, bytes);
    if (!/ckpt\.(?:index|data|meta)/.test(name))
      await expect(findModel(dirname(disguised))).rejects.toThrow(`${disguised} is ${is}`);
    const folder = dirname(await write(`folder-of-${name}/1/${name}`, bytes));
    await expect(findModel(folder)).rejects.toThrow(/ is | cannot be read/);
  });

  it("is a folder that is empty, half copied, or holds something else", async () => {
    await mkdir(at("empty/1"), { recursive: true });
    await expect(findModel(at("empty/1"))).rejects.toThrow("is empty");
    await expect(findModel(at("empty"))).rejects.toThrow(`${at("empty/1")} is empty`);
    await write("half/1/variables/variables.index", "x");
    await expect(findModel(at("half/1"))).rejects.toMatchObject({
      code: "MODEL_INVALID",
      message: `${at("half/1")} has variables, but no saved_model.pb`,
      hint: expect.stringContaining("still being copied"),
    });
    await write("text/1/saved_model.pbtxt", "meta_graphs {}");
    await expect(findModel(at("text/1"))).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
    await write("notes/readme.md", "# Notes");
    await expect(findModel(at("notes"))).rejects.toThrow(
      "holds neither saved_model.pb nor model.onnx: it has readme.md",
    );
    await writeHalfPlusTwo(at("renamed/1"));
    await rename(at("renamed/1/saved_model.pb"), at("renamed/1/model.bin"));
    await expect(findModel(at("renamed/1"))).rejects.toThrow("model.bin looks like a model");
  });

  it("is nothing at all", async () => {
    for (const path of ["nowhere", "nowhere.onnx", "notes/readme.md/1"]) {
      await expect(findModel(at(path))).rejects.toMatchObject({
        code: "MODEL_NOT_FOUND",
        message: `there is no ${at(path)}`,
      });
    }
  });
});

it("knows the model of this repository", async () => {
  await cp(SHIPPED_MODEL, at("shipped"), { recursive: true });
  expect(await findModel(at("shipped"))).toMatchObject({ format: "savedmodel", folder: at("shipped/1") });
});
