/** @file Resizing with antialiasing, against TensorFlow's own numbers. */
import { describe, expect, it } from "vitest";
import { resizeInto } from "./resize.ts";
import { prepare } from "./settings.ts";

const [HEIGHT, WIDTH] = [5, 7];
/** Squares of the position modulo 251, the same in each channel. */
const image = {
  data: Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => Math.floor(i / 3) ** 2 % 251),
  height: HEIGHT,
  width: WIDTH,
};

async function red(height: number, width: number): Promise<number[]> {
  const out = new Float32Array(height * width * 3);
  await resizeInto(image, { height, width, channels: 3 }, out, 0);
  return [...out].filter((_, i) => i % 3 === 0).map((value) => value * 255);
}

describe("resizeInto", () => {
  // tf.image.resize(image, (2, 3), antialias=True) of TensorFlow 2.21.
  it("averages where the image shrinks", async () => {
    const rows = [
      [71.84415435791016, 60.74064254760742, 103.7727279663086],
      [137.42205810546875, 96.48395538330078, 137.77272033691406],
    ];
    expect(await red(2, 3)).toBeAllClose(rows.flat(), { absolute: 1e-4, relative: 0 });
  });

  // The same with (7, 4): more rows, fewer columns.
  it("interpolates where it grows, and repeats the border", async () => {
    const rows = [
      [0.6190475225448608, 4.799999237060547, 15.839996337890625, 30.333328247070312],
      [32.80952072143555, 49.43999481201172, 75.19998168945312, 102.1428451538086],
      [97.6326675415039, 75.86856842041016, 105.6856918334961, 148.19046020507812],
      [199.33334350585938, 58.24000549316406, 70.59999084472656, 128.66665649414062],
      [200.28570556640625, 74.7542953491211, 105.51427459716797, 179.14285278320312],
      [140.7891082763672, 111.75428771972656, 104.97714233398438, 164.047607421875],
      [60.95237350463867, 152.2799835205078, 85.6400146484375, 116.99996948242188],
    ];
    expect(await red(7, 4)).toBeAllClose(rows.flat(), { absolute: 1e-4, relative: 0 });
  });

  it("leaves an image of the right size as it is, and writes nowhere else", async () => {
    const out = new Float32Array(image.data.length + 2).fill(-1);
    await resizeInto(image, { height: HEIGHT, width: WIDTH, channels: 3 }, out, 1);
    expect(out.subarray(1, -1)).toBeAllClose(prepare(image.data), { absolute: 1e-7, relative: 0 });
    expect([out[0], out.at(-1)]).toEqual([-1, -1]);
  });
});
