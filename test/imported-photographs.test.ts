/** @file A pack's network converted as somebody else's would be, on whole photographs: `faceid embed`, `:detect`, `:embed`, `:verify`. */
import { existsSync } from "node:fs";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { cosineSimilarity } from "../src/faces/cosine.ts";
import { FacePipeline } from "../src/faces/pipeline.ts";
import { models, type RunningServer, serve } from "../src/index.ts";
import { convertModel } from "../src/jobs/convert.ts";
import { embedFolder } from "../src/jobs/embed.ts";
import { COSINE_ODDS } from "../src/model/imported-network.ts";
import { temporaryFolder } from "./support/photos.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(PACK_FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const PACK = "opencv-sface";
const DETECTOR = join(PACK_FILES, "face_detection_yunet_2023mar_int8bq.onnx");
const NETWORK = join(PACK_FILES, "face_recognition_sface_2021dec_int8bq.onnx");
const SIZE = 128;

interface Row {
  readonly path: string;
  readonly person: string;
  readonly embedding: readonly number[];
}

interface Answer {
  readonly similarity: number;
  readonly same?: boolean;
  readonly embedding: readonly number[];
  readonly faces: unknown;
  readonly code?: string;
}

describe.skipIf(!isThere)(`a converted network on whole photographs${note}`, () => {
  const PHOTOS = ["Aaron_Peirsol_0001", "Aaron_Peirsol_0002", "Abba_Eban_0001"] as const;
  const pathOf = (photo: string) => join(photo.slice(0, -5), `${photo}.jpg`);
  let work: string;
  let usual: string | undefined;
  let server: RunningServer;
  let expected: Float32Array[];

  beforeAll(async () => {
    work = await temporaryFolder();
    usual = process.env.FACEID_MODELS_DIR;
    process.env.FACEID_MODELS_DIR = join(work, "packs");
    await models.add(PACK, { from: PACK_FILES });
    const savedModel = join(work, "mine/1");
    await convertModel(NETWORK, { savedModel, framing: "aligned", pixels: "rgb,0..255" });
    for (const photo of PHOTOS) await cp(join(LFW, pathOf(photo)), join(work, "photos", pathOf(photo)));
    const [detector, embedding] = await Promise.all([readFile(DETECTOR), readFile(NETWORK)]);
    // The pack itself, without the mirror images that only the pack's own pipeline adds.
    await using pipeline = await FacePipeline.open({ detector, embedding }, { mirror: false });
    expected = [];
    for (const photo of PHOTOS)
      expected.push((await pipeline.embedPhotograph(join(LFW, pathOf(photo)))).embedding);
    server = await serve({
      restPort: 0,
      grpcPort: false,
      log: silentLog,
      sessions: 1,
      modelName: "mine",
      modelPath: join(work, "mine"),
      pack: PACK,
    });
  });
  afterAll(async () => {
    await server?.close();
    if (usual === undefined) delete process.env.FACEID_MODELS_DIR;
    else process.env.FACEID_MODELS_DIR = usual;
  });

  async function ask(verb: string, body: object): Promise<Answer> {
    const response = await fetch(`http://localhost:${server.restPort}/v1/models/mine:${verb}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    return (await response.json()) as Answer;
  }
  const file = async (index: number) => ({
    b64: (await readFile(join(LFW, pathOf(PHOTOS[index]!)))).toString("base64"),
  });
  const pair = async (a: number, b: number) => ({ anchor: await file(a), verification: await file(b) });

  it("embeds a folder as the network itself embeds its faces", async () => {
    const output = join(work, "faces.jsonl");
    const { rows, leftOut } = await embedFolder(join(work, "photos"), { output, model: join(work, "mine") });
    expect([rows, leftOut]).toEqual([PHOTOS.length, []]);
    const lines = (await readFile(output, "utf8")).trim().split("\n");
    const found = lines.map((line) => JSON.parse(line) as Row).toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(found.map(({ path }) => path)).toEqual(PHOTOS.map(pathOf));
    expect(found.map(({ person }) => person)).toEqual(PHOTOS.map((photo) => photo.slice(0, -5)));
    for (const [i, { embedding }] of found.entries())
      expect(Float32Array.from(embedding)).toBeAllClose(expected[i]!, { absolute: 1e-4 });
  });

  it("finds, embeds and compares faces behind the server", async () => {
    expect((await ask("detect", { image: await file(0) })).faces).toHaveLength(1);
    const { embedding } = await ask("embed", { image: await file(0) });
    expect(embedding).toHaveLength(SIZE);
    expect(Float32Array.from(embedding)).toBeAllClose(expected[0]!, { absolute: 1e-4 });
    for (const [a, b] of [
      [0, 1],
      [0, 2],
    ] as const) {
      const answer = await ask("verify", await pair(a, b));
      const odds = COSINE_ODDS.slope * cosineSimilarity(expected[a]!, expected[b]!) + COSINE_ODDS.offset;
      expect(answer.similarity).toBeCloseTo(1 / (1 + Math.exp(-odds)), 3);
      // Nobody has measured thresholds of this network yet.
      expect(answer.same).toBeUndefined();
    }
  });

  it("does not decide at a rate that nobody measured", async () => {
    const answer = await ask("verify", { ...(await pair(0, 1)), far: 0.01 });
    expect(answer).toMatchObject({
      code: "FAILED_PRECONDITION",
      error: expect.stringContaining("faceid calibrate"),
    });
  });
});
