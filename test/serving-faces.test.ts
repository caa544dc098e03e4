/** @file A face verifier behind the real server: tensors, photographs, forms and the friendly question. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CalibrationRecord, decisionFor } from "../src/artifact/calibration.ts";
import { silentLog } from "../src/base/log.ts";
import { requestGrpc } from "../src/client/grpc.ts";
import { requestRest } from "../src/client/rest.ts";
import { encodeJpeg } from "../src/image/decode.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { writeFaceModel } from "./support/face-model.ts";
import { hugePng } from "./support/huge-png.ts";
import { temporaryFolder, writePhotos } from "./support/photos.ts";

const TAR = { value: 0.9, interval: [0.8, 1] } satisfies CalibrationRecord["measuredTar"];
const CALIBRATION: CalibrationRecord = {
  threshold: 0.4,
  measuredFar: { value: 0.12, interval: [0.1, 0.14] },
  measuredTar: TAR,
  operatingPoints: [
    { far: 0.1, threshold: 0.6, measuredFar: { value: 0.09, interval: [0.07, 0.11] }, measuredTar: TAR },
    { far: 0.01, threshold: 0.9, measuredFar: { value: 0.011, interval: [0.006, 0.02] }, measuredTar: TAR },
  ],
  data: { dataset: "drawn", people: "10 validation people", positives: 1000, negatives: 1000 },
};

let folder: string;
let server: RunningServer;
let url: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFaceModel(join(folder, "faceid/1"), { description: { calibration: CALIBRATION } });
  await writePhotos(folder, ["a.png", "b.png"]);
  server = await startServer({
    models: singleModelConfig("faceid", join(folder, "faceid")),
    loader: savedModelLoader({ sessions: 1 }),
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    rest: { acceptBinary: true },
  });
  url = `http://localhost:${server.restPort}`;
});

afterAll(() => server.close());

/** Grey above, black below; black all over where the grey is. */
const photo = async (grey: number) => {
  const pixels = new Uint8Array(120 * 80 * 3).fill(grey, 0, 120 * 40 * 3);
  return new Blob([Buffer.from(await encodeJpeg(pixels, 120, 80))], { type: "image/jpeg" });
};

async function post(
  action: string,
  form: FormData,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/v1/models/faceid:${action}`, { method: "POST", body: form });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function pair(extra: Record<string, string> = {}): Promise<FormData> {
  const form = new FormData();
  form.set("anchor_img", await photo(30), "a.jpg");
  form.set("verification_img", await photo(200), "b.jpg");
  for (const [name, value] of Object.entries(extra)) form.set(name, value);
  return form;
}

describe("a calibration record without a rate at its default threshold", () => {
  it("decides, and tells no rate", () => {
    const { measuredFar: _rate, ...old } = CALIBRATION;
    expect(decisionFor({ ...old, operatingPoints: [] }, undefined)).toEqual({ threshold: 0.4 });
    expect(decisionFor(old, 0.1)).toEqual({
      threshold: 0.6,
      usedFar: 0.1,
      far: 0.09,
      farInterval: [0.07, 0.11],
    });
  });
});

describe("a face verifier", () => {
  it("gives one answer, whichever way it is asked", async () => {
    const images = [join(folder, "a.png"), join(folder, "b.png")] as const;
    const rest = await requestRest({ url, model: "faceid" }, images);
    const grpc = await requestGrpc({ address: `localhost:${server.grpcPort}`, model: "faceid" }, images);
    expect(rest.isError).toBe(false);
    expect(rest.probability).toBeCloseTo(grpc.probability!, 5);
    expect(rest.text).toMatch(/^\{"predictions": \[\[[0-9.e-]+\]\]\}$/);
  });

  it("takes photographs as photographs", async () => {
    const predicted = await post("predict", await pair());
    const verified = await post("verify", await pair());
    expect(predicted.status).toBe(200);
    const [[probability]] = predicted.body.predictions as [[number]];
    expect(verified.body.similarity).toBeCloseTo(probability, 6);
  });

  it("decides by the calibration record, at the rate that is asked for", async () => {
    const { body } = await post("verify", await pair());
    // Without one, at the lowest that the record has.
    expect(body).toMatchObject({
      model: "faceid",
      version: "1",
      threshold: 0.9,
      far: 0.011,
      farInterval: [0.006, 0.02],
    });
    expect(body.same).toBe((body.similarity as number) >= 0.9);
    expect((await post("verify", await pair({ far: "0.2" }))).body).toMatchObject({
      threshold: 0.6,
      far: 0.09,
      farInterval: [0.07, 0.11],
    });
    expect(await post("verify", await pair({ far: "0.0001" }))).toMatchObject({
      status: 400,
      body: {
        error:
          "Model faceid is not calibrated for a false accept rate of 0.0001: the lowest that it supports is 0.01; choose 0.01 or more, or leave far out",
      },
    });
  });

  it("refuses what is no photograph, and one that claims to be larger than any memory", async () => {
    const bomb = await pair();
    bomb.set("anchor_img", new Blob([new Uint8Array(hugePng(60_000))], { type: "image/png" }), "bomb.png");
    const text = await pair();
    text.set("anchor_img", new Blob(["no photograph"], { type: "image/png" }), "text.png");
    for (const form of [bomb, text]) {
      for (const action of ["verify", "predict"]) {
        const { status, body } = await post(action, form);
        expect(status).toBe(400);
        expect(body.error).toMatch(/^cannot read the image: /);
      }
    }
    const single = new FormData();
    single.set("only", await photo(1), "a.jpg");
    expect((await post("verify", single)).body.error).toBe("verify takes two image files, got 1");
  });

  it("refuses a picture of one colour by :verify, and compares it by :predict as TensorFlow Serving does", async () => {
    const form = await pair();
    form.set("verification_img", await photo(0), "black.jpg");
    expect(await post("verify", form)).toEqual({
      status: 422,
      body: {
        error: "the verification is of one colour, or nearly so: it shows no face",
        code: "FACE_NOT_FOUND",
      },
    });
    expect((await post("predict", form)).status).toBe(200);
  });

  it("names what it takes when the shapes do not fit", async () => {
    const response = await fetch(`${url}/v1/models/faceid:predict`, {
      method: "POST",
      body: JSON.stringify({ instances: [{ anchor_img: [1], verification_img: [1] }] }),
    });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toBe(
      "Shapes do not fit the model: anchor_img takes [-1,96,96,3], got [1,1]; " +
        "verification_img takes [-1,96,96,3], got [1,1]",
    );
  });
});
