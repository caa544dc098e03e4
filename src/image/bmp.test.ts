/** @file Bitmaps of every depth, of both directions, and damaged ones. */
import { describe, expect, it } from "vitest";
import { decodePixels } from "./decode.ts";

interface Bitmap {
  readonly depth: number;
  /** Colours of a palette, as red, green and blue. */
  readonly palette?: readonly (readonly number[])[];
  readonly masks?: readonly number[];
  readonly topDown?: boolean;
  /** Stored rows, each padded to four bytes. */
  readonly rows: readonly (readonly number[])[];
  readonly compression?: number;
  readonly width?: number;
}

function bmp({ depth, palette = [], masks = [], topDown, rows, compression, width = 2 }: Bitmap): Buffer {
  const start = 54 + palette.length * 4 + masks.length * 4;
  const body = Buffer.concat(
    rows.map((row) => Buffer.concat([Buffer.from(row), Buffer.alloc(-row.length & 3)])),
  );
  const file = Buffer.alloc(start + body.length);
  file.write("BM");
  file.writeUInt32LE(start, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(topDown === true ? -rows.length : rows.length, 22);
  file.writeUInt16LE(depth, 28);
  file.writeUInt32LE(compression ?? (masks.length > 0 ? 3 : 0), 30);
  for (const [i, mask] of masks.entries()) file.writeUInt32LE(mask, 54 + i * 4);
  for (const [i, [r, g, b]] of palette.entries()) file.set([b!, g!, r!, 0], 54 + i * 4);
  file.set(body, start);
  return file;
}

/** Red and green above, blue and white below. */
const WANTED = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
const PALETTE = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
];
const RED_GREEN = [0, 0, 255, 0, 255, 0];
const BLUE_WHITE = [255, 0, 0, 255, 255, 255];

describe("BMP files", () => {
  it.each([
    ["24 bits", { depth: 24, rows: [BLUE_WHITE, RED_GREEN] }],
    ["24 bits from the top", { depth: 24, topDown: true, rows: [RED_GREEN, BLUE_WHITE] }],
    [
      "8 bits",
      {
        depth: 8,
        palette: PALETTE,
        rows: [
          [2, 3],
          [0, 1],
        ],
      },
    ],
    ["4 bits", { depth: 4, palette: PALETTE, rows: [[0x23], [0x01]] }],
    [
      "16 bits",
      {
        depth: 16,
        rows: [
          [0x1f, 0, 0xff, 0x7f],
          [0, 0x7c, 0xe0, 0x03],
        ],
      },
    ],
    [
      "16 bits with masks",
      {
        depth: 16,
        masks: [0xf800, 0x07e0, 0x001f],
        rows: [
          [0x1f, 0, 0xff, 0xff],
          [0, 0xf8, 0xe0, 0x07],
        ],
      },
    ],
    [
      "32 bits",
      {
        depth: 32,
        rows: [
          [255, 0, 0, 0, 255, 255, 255, 0],
          [0, 0, 255, 0, 0, 255, 0, 0],
        ],
      },
    ],
    [
      "32 bits with masks",
      {
        depth: 32,
        masks: [0x000000ff, 0x0000ff00, 0x00ff0000],
        rows: [
          [0, 0, 255, 9, 255, 255, 255, 9],
          [255, 0, 0, 9, 0, 255, 0, 9],
        ],
      },
    ],
  ])("are read with %s", async (_, bitmap) => {
    const { data, width, height } = await decodePixels(bmp(bitmap));
    expect([width, height, ...data]).toEqual([2, 2, ...WANTED]);
  });

  it("are read with 1 bit", async () => {
    const palette = [
      [0, 0, 0],
      [255, 255, 255],
    ];
    const { data } = await decodePixels(bmp({ depth: 1, palette, rows: [[0b01000000]] }));
    expect([...data]).toEqual([0, 0, 0, 255, 255, 255]);
  });

  it.each([
    ["cut off", bmp({ depth: 24, rows: [BLUE_WHITE, RED_GREEN] }).subarray(0, 60), "cut off"],
    ["compressed", bmp({ depth: 8, compression: 1, rows: [[0, 0]] }), "a compressed BMP"],
    ["of an impossible depth", bmp({ depth: 7, rows: [[0, 0]] }), "impossible header"],
    ["too large", bmp({ depth: 24, width: 200_000_000, rows: [[0]] }), "it has too many pixels"],
  ])("that are %s are refused", async (_, bytes, message) => {
    await expect(decodePixels(bytes)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringContaining(message),
    });
  });
});
