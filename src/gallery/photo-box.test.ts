/** @file Kept photographs, sealed and opened. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { photoBox } from "./photo-box.ts";

describe("a sealed photograph", () => {
  const box = photoBox(randomBytes(32).toString("base64"));
  const photo = Buffer.from("a photograph");

  it("opens with its key, and as a FaceError where anything of it is missing or changed", () => {
    const sealed = Buffer.from(box.seal(photo));
    expect(Buffer.from(box.open(sealed, true))).toEqual(photo);
    const refused = "a kept photograph does not open with this key";
    for (let length = 0; length < sealed.length; length++) {
      expect(() => box.open(sealed.subarray(0, length), true)).toThrow(refused);
    }
    sealed[20]! ^= 1;
    expect(() => box.open(sealed, true)).toThrow(refused);
  });
});
