/** @file Writes pixels with a colour profile as an uncompressed TIFF file, the form in which libvips takes both (TIFF 6.0, §8). */
import type { Pixels } from "./settings.ts";

const [SHORT, LONG, UNDEFINED] = [3, 4, 7] as const;
const HEADER_BYTES = 8;
const ENTRY_BYTES = 12;

/** Eight-bit RGB with an ICC profile as a file. */
export function tiffOf({ data, width, height }: Pixels, profile: Uint8Array): Uint8Array {
  const bits = HEADER_BYTES + data.length;
  const profileStart = bits + 6;
  const directory = profileStart + profile.length + (profile.length % 2);
  const entries: readonly (readonly [tag: number, type: number, count: number, value: number])[] = [
    [256, LONG, 1, width],
    [257, LONG, 1, height],
    [258, SHORT, 3, bits],
    [259, SHORT, 1, 1],
    [262, SHORT, 1, 2],
    [273, LONG, 1, HEADER_BYTES],
    [277, SHORT, 1, 3],
    [278, LONG, 1, height],
    [279, LONG, 1, data.length],
    [34675, UNDEFINED, profile.length, profileStart],
  ];
  const file = Buffer.alloc(directory + 2 + entries.length * ENTRY_BYTES + 4);
  file.write("II*\0", "latin1");
  file.writeUInt32LE(directory, 4);
  file.set(data, HEADER_BYTES);
  for (let channel = 0; channel < 3; channel++) file.writeUInt16LE(8, bits + channel * 2);
  file.set(profile, profileStart);
  file.writeUInt16LE(entries.length, directory);
  for (const [i, [tag, type, count, value]] of entries.entries()) {
    const at = directory + 2 + i * ENTRY_BYTES;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(count, at + 4);
    file.writeUInt32LE(value, at + 8);
  }
  return file;
}
