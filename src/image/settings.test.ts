/** @file The sizes that a model may ask for. */
import { describe, expect, it } from "vitest";
import { imageSettings, imageSize, settingsText } from "./settings.ts";

describe("imageSettings", () => {
  it("takes whole sides from 96 to 224", () => {
    expect(imageSettings(112)).toEqual({ height: 112, width: 112, channels: 3 });
    expect(imageSettings(96, 224)).toEqual({ height: 96, width: 224, channels: 3 });
    expect(imageSize(imageSettings(112))).toBe(37_632);
    expect(settingsText(imageSettings(96, 224))).toBe("96x224");
  });

  it.each([95, 225, 112.5, Number.NaN])("refuses %d", (side) => {
    expect(() => imageSettings(side)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
