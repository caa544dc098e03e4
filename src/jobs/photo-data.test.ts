/** @file Datasets of whole photographs: measured, trained on, cropped and embedded; skipped without the pack or LFW. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { tinyConfig } from "../../test/support/tiny-run.ts";
import { readDescription } from "../artifact/description.ts";
import { silentLog } from "../base/log.ts";
import { cutFace } from "../data/face-crop.ts";
import { models, openPack } from "../faces/models.ts";
import { decodePixels, encodePng } from "../image/decode.ts";
import { imageSettings, prepare } from "../image/settings.ts";
import type { Verifier } from "../model/verifier.ts";
import { trainConfig } from "../train/config.ts";
import { loadFaceModel } from "../verify/load-face-model.ts";
import { openPackModel } from "../verify/pack-verifier.ts";
import type { PhotoModel } from "../verify/photo-model.ts";
import { CROPS_FILE, cropFaces, LEFT_OUT_FILE } from "./crop.ts";
import { embedFolder, isInShard } from "./embed.ts";
import { evaluate, evaluateFolds, measureOptions } from "./evaluate.ts";
import { listFaces } from "./faces.ts";
import { quantizeModel } from "./quantize.ts";
import { writeReport } from "./report.ts";
import { trainAndExport } from "./train.ts";

const SHARED = join(import.meta.dirname, "../../../shared");
const FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

/** Two photographs of each. */
const PEOPLE = [
  "Aaron_Sorkin",
  "Abdullatif_Sener",
  "Adam_Scott",
  "Adolfo_Rodriguez_Saa",
  "Adrian_Nastase",
  "Ahmad_Masood",
  "Ahmet_Necdet_Sezer",
  "Aitor_Gonzalez",
];
const [ONE, OTHER] = PEOPLE as [string, string];
const photo = (name: string, number: number) => `${name}/${name}_000${number}.jpg`;

const work = await temporaryFolder();
const photos = join(work, "photos");
const pairs = join(work, "pairs.txt");
const BLANK = `${ONE}/${ONE}_0003.png`;
const BROKEN = `${ONE}/${ONE}_0004.jpg`;

/** Two folds of two pairs of each kind; one pair of the first has the photograph without a face, one the broken file. */
const PAIRS = [
  "2\t3",
  `${ONE}\t1\t2`,
  `${ONE}\t1\t3`,
  `${OTHER}\t1\t2`,
  `${ONE}\t1\t${OTHER}\t1`,
  `${ONE}\t3\t${OTHER}\t2`,
  `${ONE}\t4\t${OTHER}\t2`,
  ...PEOPLE.slice(2, 5).map((name) => `${name}\t1\t2`),
  ...PEOPLE.slice(2, 5).map((name, i) => `${name}\t1\t${PEOPLE[i + 5]}\t1`),
].join("\n");

describe.skipIf(!isThere)(`datasets of whole photographs${note}`, () => {
  let model: PhotoModel;
  beforeAll(async () => {
    vi.stubEnv("FACEID_MODELS_DIR", join(work, "packs"));
    vi.stubEnv("FACEID_CACHE_DIR", join(work, "cache"));
    await models.add("opencv-sface", { from: FILES });
    model = await loadFaceModel();
    mkdirSync(photos);
    for (const name of PEOPLE) cpSync(join(LFW, name), join(photos, name), { recursive: true });
    writeFileSync(join(photos, BLANK), await encodePng(new Uint8Array(96 * 96 * 3).fill(128), 96, 96));
    writeFileSync(join(photos, BROKEN), "no picture");
    writeFileSync(pairs, `${PAIRS}\n`);
  });
  afterAll(async () => {
    await model?.close();
    vi.unstubAllEnvs();
  });

  const data = { dataset: "lfw", datasetPath: photos } as const;
  const blank = { path: join(photos, BLANK), reason: `no face was found in ${join(photos, BLANK)}` };

  it("give quantize their faces, and crops as they are", async () => {
    const ofPhotos = { savedModel: "default", images: photos, output: join(work, "int8/1"), count: 9 };
    expect(await quantizeModel(ofPhotos)).toMatchObject({
      ...{ faces: "align", calibrationImages: 8 },
      ...{ unreadable: 1, withoutFace: 1, oneColour: 0, copies: 0 },
    });
    const images = join(work, "crops-for-int8");
    await cropFaces(photos, { output: images });
    writeFileSync(join(images, "clip.mp4"), "x");
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warned.push(message) };
    const ofCrops = { ...ofPhotos, images, output: join(work, "int8/2"), log };
    expect(await quantizeModel(ofCrops)).toMatchObject({
      faces: "none",
      calibrationImages: 8,
      withoutFace: 0,
    });
    expect(warned).toContain(
      `left out: 1 video, which is not read; save frames as JPEG (${join(images, "clip.mp4")})`,
    );
    await rm(join(images, CROPS_FILE));
    const ofSize = { ...ofCrops, output: join(work, "int8/3") };
    expect(await quantizeModel(ofSize)).toMatchObject({ faces: "none", withoutFace: 0 });
    await expect(
      quantizeModel({ ...ofPhotos, images: join(photos, ONE), output: join(work, "int8/4") }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("has 2 usable images (1 cannot be read, 1 show no face)"),
      hint: expect.stringContaining("--faces none"),
    });
  });

  it("measures a pack by folds without dropping a pair whose face is not found", async () => {
    const report = await evaluateFolds("opencv-sface", pairs, { kind: "pack", data });
    // Eleven of twelve pairs: the broken file's is left out. Of three pairs of one person in the first fold, one has no face.
    expect(report).toMatchObject({ folds: 2, pairs: 11, missing: 1, facesNotFound: 1, withoutFace: [blank] });
    expect(report.unreadable?.map(({ path }) => path)).toEqual([join(photos, BROKEN)]);
    expect(report.accuracy.perFold[0]).toBeCloseTo(4 / 5, 12);
    expect(report.accuracy.perFold[1]).toBe(1);
  });

  it("gives the embeddings of the pipeline, to the bit", async () => {
    const { verifier } = await openPackModel("opencv-sface", { sessions: 1 });
    await using opened = verifier as Verifier;
    const [first, second] = [photo(ONE, 1), photo(OTHER, 1)].map((path) => join(photos, path));
    const [a, b] = [await model.embed(first!), await model.embed(second!)];
    const images = new Float32Array([...prepare(a.crop.data), ...prepare(b.crop.data)]);
    expect(await opened.embed(images, 2)).toEqual(new Float32Array([...a.embedding, ...b.embedding]));
  });

  it("measures a pack on faces as its own mode finds them", async () => {
    const path = join(photos, photo(ONE, 1));
    const { files, about } = await openPack("opencv-sface");
    const cut = { files, digest: about.files.detector.sha256, framing: { kind: "aligned" } } as const;
    for (const name of ["opencv-sface", "opencv-sface-int8", "opencv-sface-int8-fast"]) {
      const opened = await openPackModel(name, { sessions: 1 });
      await opened.verifier[Symbol.asyncDispose]();
      const { mode } = measureOptions(name, opened, data);
      await using own = await loadFaceModel(name);
      const { crop } = await own.embed(path);
      const found = await cutFace(path, { ...cut, mode: mode!, choice: "largest" }, imageSettings(112));
      expect(found, name).toEqual(crop.data);
    }
  });

  it("measures a pack on all people at its own threshold, and writes its page", async () => {
    const measured = await evaluate("opencv-sface", { data, pairs: 24 });
    const { report, calibration } = measured;
    expect(calibration).toEqual(model.calibration);
    expect(report).toMatchObject({ measure: "cosine", facesNotFound: 1 });
    expect(report.loss).toBeUndefined();
    expect(report.calibrated?.threshold).toBe(model.calibration?.threshold);
    const output = join(work, "report.html");
    await writeReport({ model: "opencv-sface", output, measured, data });
    const page = readFileSync(output, "utf8");
    expect(page).toContain("Faces not found: 1");
    expect(page).toContain("cosine of the embeddings");
  });

  it("trains on aligned faces, measures and exports with the framing", async () => {
    const savedModelPath = join(work, "trained");
    const config = tinyConfig({
      ...data,
      faces: "align",
      epochs: 1,
      validationFraction: 0.25,
      testFraction: 0.25,
    });
    const folder = join(work, "run");
    const outcome = await trainAndExport({
      config,
      folder,
      target: { savedModelPath, modelName: "faces", modelVersion: 1 },
    });
    const { leftOut, config: written } = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    expect(written.faces).toBe("align");
    // Whichever group the person is in, one of the two passes meets the blank picture.
    const lists = [...leftOut.facesNotFound, ...(outcome.measured.report.withoutFace ?? [])];
    expect(lists).toContainEqual(blank);
    const described = await readDescription(join(savedModelPath, "1"));
    expect(described?.framing).toEqual({ kind: "aligned", template: "arcface", side: 96 });
    await using own = await loadFaceModel(savedModelPath);
    const { embedding, crop } = await own.embed(join(photos, photo(ONE, 1)));
    expect([embedding.length, crop.width]).toEqual([described?.embeddingSize, 96]);
    const again = await evaluateFolds(savedModelPath, pairs);
    expect(again).toMatchObject({ pairs: 11, facesNotFound: 1 });
  });

  it("trains a student of the pack with its recipe, and exports it with the pack's framing", {
    timeout: 300_000,
  }, async () => {
    const savedModelPath = join(work, "student");
    const tiny = {
      batchSize: 4,
      datasetSize: 8,
      epochs: 2,
      validationPairs: 8,
      projectionDim: 8,
      replicas: 1,
    };
    const outcome = await trainAndExport({
      config: trainConfig({
        ...data,
        ...tiny,
        teacher: "opencv-sface",
        teacherMix: 0.5,
        validationFraction: 0.25,
        testFraction: 0.25,
      }),
      folder: join(work, "student-run"),
      target: { savedModelPath, modelName: "student", modelVersion: 1 },
    });
    expect(outcome.measured.report.pairs).toBeGreaterThan(0);
    const described = await readDescription(join(savedModelPath, "1"));
    expect(described?.framing).toEqual({ kind: "aligned", template: "arcface", side: 112 });
    expect(described?.training.history).toHaveLength(2);
    for (const { validationLoss } of described!.training.history) expect(validationLoss).toBeLessThan(2);
    await using own = await loadFaceModel(savedModelPath);
    const { embedding } = await own.embed(join(photos, photo(ONE, 1)));
    expect([embedding.length, Math.hypot(...embedding)]).toEqual([8, expect.closeTo(1, 4)]);
  });

  it("refuses faces that are not square, and drawn ones", async () => {
    const evaluated = (changes: object) =>
      evaluate(join(work, "trained"), { data: { ...data, ...changes }, pairs: 12 });
    await expect(evaluated({ imageShape: [96, 112] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(evaluated({ dataset: "synthetic", idTo: 20 })).rejects.toMatchObject({
      message: expect.stringContaining("drawn faces are crops already"),
      hint: expect.stringContaining("pass `faces` none"),
    });
  });

  it("crops a dataset in its layout, continues, and lists what is left out", async () => {
    const output = join(work, "crops");
    const first = await cropFaces(photos, { output });
    expect(first).toMatchObject({ written: 16, kept: 0 });
    expect(readdirSync(output).sort()).toEqual([...PEOPLE, ".crops.jsonl", CROPS_FILE, LEFT_OUT_FILE].sort());
    const csv = readFileSync(join(output, LEFT_OUT_FILE), "utf8").split("\n");
    expect(csv[0]).toBe("path,code,reason");
    expect(csv[1]).toMatch(new RegExp(`^${BLANK},FACE_NOT_FOUND,no face was found in `));
    expect(csv[2]).toMatch(new RegExp(`^${BROKEN},IMAGE_UNREADABLE,`));
    const made = join(output, photo(ONE, 1).replace(".jpg", ".png"));
    const { crop } = await model.embed(join(photos, photo(ONE, 1)));
    const read = await decodePixels(made);
    expect([read.width, Buffer.from(read.data).equals(crop.data)]).toEqual([112, true]);
    // A crop that is missing is made, a half-written file goes, the others stay.
    writeFileSync(join(output, ONE, ".x.png.1-0123abcd.tmp"), "half");
    const before = statSync(made).mtimeMs;
    rmSync(join(output, photo(OTHER, 1).replace(".jpg", ".png")));
    expect(await cropFaces(photos, { output })).toMatchObject({ written: 1, kept: 15 });
    expect(statSync(made).mtimeMs).toBe(before);
    expect(readdirSync(join(output, ONE))).toHaveLength(2);
    await expect(cropFaces(photos, { output, size: 96 })).rejects.toThrow(
      "holds crops with other settings: `size` 112",
    );
    const three = { output, framing: "lfw", format: "jpg", face: "central" } as const;
    await expect(cropFaces(photos, three)).rejects.toThrow(
      /other settings: `framing` aligned, `format` png, `face` largest$/,
    );
    await expect(cropFaces(photos, { output: work })).rejects.toThrow("is not empty");
    await expect(cropFaces(photos, { output: join(photos, "crops") })).rejects.toThrow(
      "among the photographs",
    );
  });

  it("crops again what another photograph of that name has replaced, and says which crops are of none", async () => {
    const [mine, theirs] = [join(work, "mine"), join(work, "theirs")];
    const output = join(work, "crops-of-two");
    const files = [
      [mine, "x.jpg", photo(ONE, 1)],
      [mine, "gone.jpg", photo(ONE, 2)],
      [mine, "blank.jpg", photo(ONE, 2)],
      [theirs, "x.jpg", photo(OTHER, 1)],
      [theirs, "blank.jpg", BLANK],
    ] as const;
    for (const [folder, name, from] of files) cpSync(join(photos, from), join(folder, name));
    // Older than the crops of the others: a copy that keeps its date.
    for (const name of ["x.jpg", "blank.jpg"]) utimesSync(join(theirs, name), 1e9, 1e9);
    expect(await cropFaces(mine, { output })).toMatchObject({ written: 3, kept: 0, others: [] });
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warned.push(message) };
    const second = await cropFaces(theirs, { output, log });
    expect(second).toMatchObject({ written: 1, kept: 0, others: ["gone.png"] });
    expect(second.leftOut.map(({ path }) => path)).toEqual(["blank.jpg"]);
    expect(warned).toEqual([
      `${output} holds 1 crop of photographs that ${theirs} does not hold, such as gone.png; delete what you do not want to keep`,
    ]);
    const { crop } = await model.embed(join(photos, photo(OTHER, 1)));
    expect(Buffer.from((await decodePixels(join(output, "x.png"))).data).equals(crop.data)).toBe(true);
    expect(existsSync(join(output, "blank.png"))).toBe(false);
    expect(await cropFaces(theirs, { output })).toMatchObject({ written: 0, kept: 1 });
  });

  it("gives each photograph a crop of its own, whatever its name", async () => {
    const folder = join(work, "names");
    const output = join(work, "crops-of-names");
    mkdirSync(folder);
    const long = `${"x".repeat(251)}`;
    for (const name of [
      "a.jpg",
      "a.jpg.gif",
      "a.png",
      "B.jpg",
      "b.png",
      "c",
      "c.jpg",
      "d.jpg",
      `${long}.jpg`,
    ]) {
      cpSync(join(photos, photo(ONE, 1)), join(folder, name));
    }
    expect(await cropFaces(folder, { output })).toMatchObject({ written: 9, leftOut: [] });
    const crops = readdirSync(output).filter((name) => name.endsWith(".png"));
    expect(crops.toSorted()).toEqual([
      ...["B.jpg.png", "a.jpg.gif.png", "a.jpg.png", "a.png.png", "b.png.png", "c.jpg.png", "c.png", "d.png"],
      `${long}.png`,
    ]);
    expect(await cropFaces(folder, { output })).toMatchObject({ written: 0, kept: 9 });
    rmSync(join(folder, "a.jpg.gif"));
    const drawn = join(work, "drawn-names");
    expect(await listFaces([folder], { show: drawn })).toHaveLength(8);
    expect(readdirSync(drawn)).toHaveLength(8);
  });

  it("embeds a folder as JSON lines, Parquet and NumPy with the same numbers, and in shards", async () => {
    const file = (name: string) => join(work, name);
    const result = await embedFolder(photos, { output: file("all.jsonl") });
    expect(result).toMatchObject({ rows: 16, kept: 0 });
    expect(result.leftOut.map(({ path }) => path)).toEqual([BLANK, BROKEN]);
    const lines = readFileSync(file("all.jsonl"), "utf8").trimEnd().split("\n");
    const rows = lines.map((line) => JSON.parse(line));
    const { embedding, face } = await model.embed(join(photos, photo(ONE, 1)));
    expect(rows[0]).toEqual({
      path: photo(ONE, 1),
      person: ONE,
      box: face!.box,
      score: face!.score,
      quality: face!.quality,
      embedding: [...embedding],
      model: "opencv-sface",
      digest: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    });
    await embedFolder(photos, { output: file("all.parquet") });
    const parquet = readFileSync(file("all.parquet"));
    const buffer = parquet.buffer.slice(
      parquet.byteOffset,
      parquet.byteOffset + parquet.length,
    ) as ArrayBuffer;
    expect(await parquetReadObjects({ file: buffer })).toEqual(rows);
    await embedFolder(photos, { output: file("all.npy") });
    const npy = readFileSync(file("all.npy"));
    const head = 10 + npy.readUInt16LE(8);
    expect(npy.toString("latin1", 10, head)).toContain("'shape': (16, 128)");
    expect([head % 64, npy.length]).toEqual([0, head + 16 * 128 * 4]);
    expect(npy.readFloatLE(head + 4 * 128)).toBe(rows[1].embedding[0]);
    const paths = readFileSync(file("all.paths.csv"), "utf8").split("\n").slice(1, 17);
    expect(paths.map((line) => line.split(",")[0])).toEqual(rows.map(({ path }) => path));
    const parts = [0, 1, 2].map((index) => ({ index, count: 3 }));
    const shared: string[] = [];
    for (const shard of parts) {
      await embedFolder(photos, { output: file(`part-${shard.index}.jsonl`), shard });
      shared.push(
        ...readFileSync(file(`part-${shard.index}.jsonl`), "utf8")
          .split("\n")
          .filter(Boolean),
      );
    }
    expect(shared.sort()).toEqual(lines.sort());
    expect(parts.filter((shard) => isInShard("a/b.jpg", shard))).toHaveLength(1);
  });

  it("continues an embedding that was stopped, and refuses another run's journal or an output that exists", async () => {
    const output = join(work, "stopped.jsonl");
    const controller = new AbortController();
    const stopped = embedFolder(photos, {
      output,
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 5) controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(existsSync(output)).toBe(false);
    // As a process that was killed while it wrote leaves it.
    writeFileSync(`${output}.part`, '{"size":1,"modif', { flag: "a" });
    await expect(embedFolder(photos, { output, face: "central" })).rejects.toThrow("other settings");
    const { rows, kept } = await embedFolder(photos, { output });
    expect(rows).toBe(16);
    expect(kept).toBeGreaterThanOrEqual(4);
    expect(existsSync(`${output}.part`)).toBe(false);
    expect(readFileSync(output, "utf8")).toBe(readFileSync(join(work, "all.jsonl"), "utf8"));
    await expect(embedFolder(photos, { output })).rejects.toThrow("exists already");
    await expect(embedFolder(photos, { output: join(work, "x.csv") })).rejects.toThrow(
      ".parquet, .npy or .jsonl",
    );
  });

  it("leaves no list of an earlier run beside an embedding that left nothing out", async () => {
    const [folder, output] = [join(work, "listed"), join(work, "listed.jsonl")];
    cpSync(join(photos, OTHER), folder, { recursive: true });
    writeFileSync(join(folder, "broken.jpg"), "no picture");
    const list = join(work, "listed.left-out.csv");
    expect((await embedFolder(folder, { output })).files).toEqual([output, list]);
    for (const path of [output, join(folder, "broken.jpg")]) rmSync(path);
    expect((await embedFolder(folder, { output })).files).toEqual([output]);
    expect(existsSync(list)).toBe(false);
  });

  /** Calls back once, when the first photograph is done. */
  const afterFirst = (change: () => void) => (done: number) => {
    if (done === 1) change();
  };

  it("go on where photographs disappear while a folder is cropped or embedded", async () => {
    const jobs = {
      crops: (folder: string, output: string, change: () => void) =>
        cropFaces(folder, { output, onProgress: afterFirst(change) }),
      rows: (folder: string, output: string, change: () => void) =>
        embedFolder(folder, { output: `${output}.jsonl`, onProgress: afterFirst(change) }),
    };
    for (const [name, run] of Object.entries(jobs)) {
      const folder = join(work, `changing-${name}`);
      cpSync(photos, folder, { recursive: true });
      const last = PEOPLE.at(-1)!;
      const { leftOut } = await run(folder, join(work, `changed-${name}`), () => {
        rmSync(join(folder, photo(last, 1)));
        rmSync(join(folder, photo(last, 2)));
        mkdirSync(join(folder, photo(last, 2)));
      });
      const reasons = new Map(leftOut.map(({ path, code, reason }) => [path, `${code} ${reason}`]));
      expect([...reasons.keys()].sort()).toEqual([BLANK, BROKEN, photo(last, 1), photo(last, 2)].sort());
      expect(reasons.get(photo(last, 1))).toBe(
        `IMAGE_UNREADABLE cannot read ${photo(last, 1)}: no such file`,
      );
      expect(reasons.get(photo(last, 2))).toContain(`cannot read ${photo(last, 2)}: EISDIR, it is a folder`);
    }
  });

  it("end where the whole folder disappears, and continue when it is back", async () => {
    const folder = join(work, "mounted");
    cpSync(photos, folder, { recursive: true });
    const gone = () => renameSync(folder, `${folder}-elsewhere`);
    const rows = { output: join(work, "mounted.jsonl") };
    const crops = { output: join(work, "mounted-crops") };
    const error = { code: "DATASET_NOT_FOUND", message: `the folder ${folder} is gone` };
    await expect(embedFolder(folder, { ...rows, onProgress: afterFirst(gone) })).rejects.toMatchObject(error);
    renameSync(`${folder}-elsewhere`, folder);
    await expect(cropFaces(folder, { ...crops, onProgress: afterFirst(gone) })).rejects.toMatchObject(error);
    renameSync(`${folder}-elsewhere`, folder);
    await embedFolder(folder, rows);
    expect(readFileSync(rows.output, "utf8")).toBe(readFileSync(join(work, "all.jsonl"), "utf8"));
    const { written, kept, leftOut } = await cropFaces(folder, crops);
    expect([written + kept, leftOut.length]).toEqual([16, 2]);
  });

  it("cut out a photograph that was mended after a run that was stopped had left it out", async () => {
    const folder = join(work, "mended");
    cpSync(join(photos, ONE), join(folder, ONE), { recursive: true });
    const output = join(work, "mended-crops");
    const stopped = cropFaces(folder, {
      output,
      onProgress(done) {
        if (done === 4) throw new Error("stopped");
      },
    });
    await expect(stopped).rejects.toThrow("stopped");
    cpSync(join(photos, photo(OTHER, 1)), join(folder, BROKEN));
    const { leftOut, kept } = await cropFaces(folder, { output });
    expect([leftOut.map(({ path }) => path), kept]).toEqual([[BLANK], 2]);
  });

  it("embeds by an exported model with its framing", async () => {
    const output = join(work, "own.jsonl");
    await embedFolder(join(photos, OTHER), { output, model: join(work, "trained") });
    const [row] = readFileSync(output, "utf8").trimEnd().split("\n");
    await using own = await loadFaceModel(join(work, "trained"));
    const { embedding } = await own.embed(join(photos, photo(OTHER, 1)));
    expect(JSON.parse(row!)).toMatchObject({ person: null, embedding: [...embedding], model: "trained/1" });
  });

  it("lists the faces of a folder; a broken file is an entry", async () => {
    const listed = await listFaces([join(photos, ONE)]);
    expect(listed.map((each) => ("error" in each ? each.error.code : each.faces.length > 0))).toEqual([
      true,
      true,
      false,
      "IMAGE_UNREADABLE",
    ]);
  });
});
