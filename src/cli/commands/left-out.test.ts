/** @file What commands say of photographs that were left out. */
import { describe, expect, it } from "vitest";
import { leftOutText } from "./left-out.ts";

describe("the list of photographs that were left out", () => {
  it("names each photograph once", () => {
    const bad = "ann/bad.jpg";
    const list = [
      { path: bad, code: "IMAGE_UNREADABLE", reason: `cannot read ${bad}: not an image of a known format` },
      { path: "bob/1.jpg", code: "FACE_UNFIT", reason: "the face is small" },
    ];
    expect(leftOutText(list, "left-out.csv").split("\n")).toEqual([
      "left out: 1 photograph without the face, 1 unreadable file; listed in left-out.csv",
      "  cannot read ann/bad.jpg: not an image of a known format",
      "  bob/1.jpg: the face is small",
    ]);
  });
});
