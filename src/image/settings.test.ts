/** @file Sizes of a model's images, and eight-bit pixels as floats. */
import { describe, expect, it } from "vitest";
import { imageSettings, imageSize, prepare, prepareInto, settingsText } from "./settings.ts";

describe("imageSettings", () => {
  it("takes whole sides from 64 to 224", () => {
    expect(imageSettings(112)).toEqual({ height: 112, width: 112, channels: 3 });
    expect(imageSettings(64, 224)).toEqual({ height: 64, width: 224, channels: 3 });
    expect(imageSize(imageSettings(112))).toBe(37_632);
    expect(settingsText(imageSettings(96, 224))).toBe("96x224");
  });

  it.each([63, 225, 112.5, Number.NaN])("refuses %d", (side) => {
    expect(() => imageSettings(side)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});

describe("prepare", () => {
  it("divides by 255 in float32", () => {
    const values = prepare(Uint8Array.from({ length: 256 }, (_, i) => i));
    expect([...values]).toEqual(Array.from(values, (_, i) => Math.fround(i / 255)));
  });

  it("writes into a batch and nowhere else", () => {
    const out = new Float32Array(9).fill(-1);
    prepareInto(Uint8Array.of(0, 51, 255), out, 3);
    expect([...out]).toEqual([-1, -1, -1, 0, Math.fround(0.2), 1, -1, -1, -1]);
  });
});
