/** @file The contract of exported models: descriptions that are read or refused, decisions from a calibration record. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { answeredRate, decisionFor } from "./calibration.ts";
import {
  descriptionText,
  type ExportedModel,
  framingIn,
  readDescription,
  requireDescribed,
} from "./description.ts";
import { DESCRIPTION_FILE, modelFileIn, versionsIn } from "./files.ts";
import { percentText, thresholdText } from "./rates.ts";
import { SHIPPED_VERSION } from "./shipped.ts";

/** A folder whose description has this content. */
async function folderWith(content: string): Promise<string> {
  const folder = await temporaryFolder();
  const path = join(folder, DESCRIPTION_FILE);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return folder;
}

/** The shipped description, changed. */
async function changed(change: (description: Record<string, unknown>) => void): Promise<string> {
  const description = JSON.parse(await readFile(join(SHIPPED_VERSION, DESCRIPTION_FILE), "utf8"));
  change(description);
  return await folderWith(JSON.stringify(description));
}

interface EditedRecord {
  readonly measuredFar: object;
  readonly operatingPoints: readonly object[];
}
const record = (description: Record<string, unknown>) => description.calibration as EditedRecord;
const config = ({ training }: Record<string, unknown>) =>
  (training as { config: Record<string, unknown> }).config;

const shipped = async (): Promise<ExportedModel> => (await readDescription(SHIPPED_VERSION))!;

describe("a model's description", () => {
  it("is read from the shipped model, and written as it was", async () => {
    expect(descriptionText(await shipped())).toBe(
      await readFile(join(SHIPPED_VERSION, DESCRIPTION_FILE), "utf8"),
    );
  });

  it("is undefined for a model without one", async () => {
    expect(await readDescription(await temporaryFolder())).toBeUndefined();
  });

  it("may lack what older versions did not write", async () => {
    const folder = await changed((description) => {
      delete description.calibration;
      delete description.evaluation;
    });
    const { calibration: _record, evaluation: _report, ...rest } = await shipped();
    expect(await readDescription(folder)).toEqual(rest);
  });

  it("may not know how faces lie, of either format", async () => {
    for (const [format, framing] of [
      ["faceid-model-1", undefined],
      ["faceid-model-2", null],
    ]) {
      const folder = await changed((description) => {
        Object.assign(description, { format, framing });
        config(description).faces = "none";
      });
      expect(framingIn(await readDescription(folder))).toBeUndefined();
    }
  });

  it("is of the model beside it", async () => {
    const description = await shipped();
    const sizes = { height: 112, width: 112, embeddingSize: 128 };
    requireDescribed("models/1", description, sizes);
    requireDescribed("models/1", description, {});
    requireDescribed("models/1", undefined, sizes);
    for (const [name, wrong] of [
      ["image.height: got 112, expected 96", { height: 96 }],
      ["image.width: got 112, expected 96", { width: 96 }],
      ["embeddingSize: got 128, expected 64", { embeddingSize: 64 }],
    ] as const) {
      expect(() => requireDescribed("models/1", description, { ...sizes, ...wrong })).toThrow(
        `${join("models/1", DESCRIPTION_FILE)} contradicts the model beside it: ${name}, as`,
      );
    }
  });

  it("has a threshold just above the highest score, where no pair was to be accepted", async () => {
    const folder = await changed((description) => {
      Object.assign(record(description).operatingPoints[1]!, { threshold: 1.00000012 });
    });
    expect((await readDescription(folder))?.calibration?.operatingPoints[1]?.threshold).toBeGreaterThan(1);
  });

  it.each([
    { kind: "aligned", template: "arcface", side: 112 },
    { kind: "centred", enlarge: 2.2 },
    { kind: "none" },
  ])("holds the framing $kind", async (framing) => {
    const folder = await changed((description) => {
      description.framing = framing;
    });
    expect((await readDescription(folder))?.framing).toEqual(framing);
  });

  it.each<[string, (description: Record<string, unknown>) => void, RegExp]>([
    ["another format", (d) => Object.assign(d, { format: "faceid-model-9" }), /damaged: format: /],
    ["no training", (d) => delete d.training, /damaged: training: /],
    [
      "a framing without its side",
      (d) => Object.assign(d, { framing: { kind: "aligned", template: "a" } }),
      /framing\.side: /,
    ],
    [
      "an unknown framing",
      (d) => Object.assign(d, { framing: { kind: "loose" } }),
      /framing\.kind: got "loose", expected aligned, centred or none$/,
    ],
    [
      "no framing",
      (d) => {
        delete d.framing;
        delete config(d).faces;
      },
      /framing: got undefined, expected how faces lie in the model's images, or null where/,
    ],
    [
      "an unknown framing, though faces were aligned",
      (d) => Object.assign(d, { framing: null }),
      /framing: got null, expected how faces lie .* since training\.config\.faces is align$/,
    ],
    [
      "the first format and no framing, though faces were aligned",
      (d) => Object.assign(d, { format: "faceid-model-1", framing: undefined }),
      /framing: got undefined, expected how faces lie .* since training\.config\.faces is align$/,
    ],
    [
      "a threshold above 1",
      (d) => Object.assign(record(d), { threshold: 1.5 }),
      /calibration\.threshold: got 1\.5, expected a probability above 0, to 1$/,
    ],
    [
      "a threshold that every score reaches",
      (d) => Object.assign(record(d).operatingPoints[0]!, { threshold: 0 }),
      /calibration\.operatingPoints\.0\.threshold: got 0, expected a probability above 0, to 1$/,
    ],
    [
      "a threshold below 0",
      (d) => Object.assign(record(d).operatingPoints[1]!, { threshold: -0.1 }),
      /calibration\.operatingPoints\.1\.threshold: got -0\.1, expected a probability/,
    ],
    [
      "a lower threshold for a lower rate",
      (d) => Object.assign(record(d).operatingPoints[1]!, { threshold: 0.01 }),
      /calibration\.operatingPoints\.1\.threshold: got 0\.01, expected at least 0\.\d+, the threshold for the higher rate 0\.1$/,
    ],
    [
      "an interval that ends before it begins",
      (d) => Object.assign(record(d).measuredFar, { interval: [0.5, 0.1] }),
      /calibration\.measuredFar\.interval: got \[0\.5,0\.1\], expected the lower end first$/,
    ],
    [
      "a rate above 1",
      (d) =>
        Object.assign(d, {
          calibration: { ...(d.calibration as object), measuredFar: { value: 2, interval: [0, 1] } },
        }),
      /calibration\.measuredFar\.value: /,
    ],
  ])("with %s is refused with its path and field", async (_, change, field) => {
    const folder = await changed(change);
    await expect(readDescription(folder)).rejects.toMatchObject({
      code: "MODEL_INVALID",
      message: expect.stringMatching(field),
    });
    await expect(readDescription(folder)).rejects.toThrow(join(folder, DESCRIPTION_FILE));
  });

  it("that is no JSON is refused", async () => {
    await expect(readDescription(await folderWith('{"format": '))).rejects.toMatchObject({
      code: "MODEL_INVALID",
      message: expect.stringContaining("cannot be read as JSON"),
    });
  });
});

describe("a decision", () => {
  it("takes the largest calibrated rate that is not above the wanted one", async () => {
    const { calibration } = await shipped();
    const [tenth, hundredth] = calibration!.operatingPoints;
    // Without a wanted rate, 0.001 or the lowest; without rates, the threshold with the most right decisions.
    expect(decisionFor(calibration)).toEqual(decisionFor(calibration, 0.01));
    expect(
      decisionFor({
        ...calibration!,
        operatingPoints: [
          { ...hundredth!, far: 1e-4 },
          { ...tenth!, far: 1e-3 },
        ],
      }),
    ).toMatchObject({
      threshold: tenth!.threshold,
      usedFar: 1e-3,
    });
    const bare = decisionFor({ ...calibration!, operatingPoints: [] });
    expect(bare).toMatchObject({
      threshold: calibration!.threshold,
      far: calibration!.measuredFar!.value,
    });
    expect(bare).not.toHaveProperty("usedFar");
    expect(decisionFor(calibration, 0.5)?.threshold).toBe(tenth!.threshold);
    expect(decisionFor(calibration, 0.1)?.threshold).toBe(tenth!.threshold);
    expect(decisionFor(calibration, 0.05)).toEqual({
      threshold: hundredth!.threshold,
      usedFar: 0.01,
      far: hundredth!.measuredFar.value,
      farInterval: hundredth!.measuredFar.interval,
      weights: "float32",
    });
  });

  it("says with which weights its rate was measured, where they are not the version's", async () => {
    const { calibration } = await shipped();
    const decision = decisionFor(calibration, 0.1)!;
    expect(answeredRate(decision).falseAcceptRate).toMatchObject({ estimate: 0.1, weights: "float32" });
    const { weights: _, ...own } = calibration!;
    expect(answeredRate(decisionFor(own, 0.1)!).falseAcceptRate).not.toHaveProperty("weights");
    const { measuredFar: _rate, ...old } = calibration!;
    expect(answeredRate(decisionFor({ ...old, operatingPoints: [] })!)).toEqual({});
  });

  it("is undefined without a record, or for a rate that the record does not support", async () => {
    expect(decisionFor(undefined)).toBeUndefined();
    expect(decisionFor((await shipped()).calibration, 0.001)).toBeUndefined();
  });

  it.each([0, 1, -0.1, 2, Number.NaN])("refuses a rate of %s", (far) => {
    expect(() => decisionFor(undefined, far)).toThrow(`far: got ${far}, expected a rate between 0 and 1`);
  });
});

describe("the files of a version", () => {
  it("are found by name, a SavedModel before an ONNX file", () => {
    expect(modelFileIn(["model.onnx", "saved_model.pb"])).toBe("saved_model.pb");
    expect(modelFileIn(["model.onnx", "assets.extra"])).toBe("model.onnx");
    expect(modelFileIn(["assets.extra"])).toBeUndefined();
  });

  it("lie in folders named by numbers, in numeric order", () => {
    expect(versionsIn(["10", "9", "new", "1"])).toEqual(["1", "9", "10"]);
  });
});

describe("why a threshold decided", () => {
  it("does not say that no rate was measured, since that of this threshold stands below it", () => {
    expect(thresholdText(undefined)).toBe(
      "the one with the most right decisions: too few people to choose one by its rate",
    );
    expect(thresholdText(0.01)).toBe("for a false accept rate of 0.01, the lowest of this model");
    expect(thresholdText(0.01, 0.02)).toBe("for a false accept rate of 0.01");
  });
});

describe("a rate in percent", () => {
  it("has three digits, with zeros at its end too, as the bounds beside it", () => {
    expect([0.001, 0.0009154, 0.001099, 0.1, 1, 0].map(percentText)).toEqual([
      ...["0.100 %", "0.0915 %", "0.110 %"],
      ...["10.0 %", "100 %", "0.00 %"],
    ]);
  });
});
