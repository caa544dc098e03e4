/** @file Eight-bit pixels into floats, and TensorFlow's way of resizing. */
import { describe, expect, it } from "vitest";
import { prepare, prepareInto, resizeBilinear } from "./prepare.ts";

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

describe("resizeBilinear", () => {
  // tf.image.resize(x, (2, 3), antialias=False) of the 2×4 ramp 0, 10, 20 … in each channel, by its definition.
  it("takes the two neighbours of each half-pixel centre, without antialiasing", () => {
    const data = Uint8Array.from({ length: 24 }, (_, i) => Math.floor(i / 3) * 10);
    const out = resizeBilinear({ data, height: 2, width: 4 }, { height: 2, width: 3, channels: 3 });
    const red = [...out].filter((_, i) => i % 3 === 0).map((value) => value * 255);
    expect(red).toBeAllClose([5 / 3, 15, 85 / 3, 125 / 3, 55, 205 / 3]);
  });

  it("leaves an image of the right size as it is, and repeats the border when enlarging", () => {
    const data = Uint8Array.of(0, 50, 100, 200, 250, 255);
    const image = { data, height: 1, width: 2 };
    expect(resizeBilinear(image, { height: 1, width: 2, channels: 3 })).toEqual(prepare(data));
    const wide = resizeBilinear(image, { height: 3, width: 8, channels: 3 });
    expect([...wide.subarray(0, 3)]).toEqual([...prepare(data.subarray(0, 3))]);
    expect([...wide.subarray(21, 24)]).toEqual([...prepare(data.subarray(3))]);
  });
});
