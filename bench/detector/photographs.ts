/** @file LFW's photographs with their labels, decoded once into memory that all threads share. */
import { join } from "node:path";
import { chooseFace } from "../../src/faces/choose.ts";
import { decodePixels } from "../../src/image/decode.ts";
import { type Labelled, LFW, SURE } from "./labels.ts";
import type { Photographs } from "./scenes.ts";

/** LFW's photographs are square. */
export const LFW_SIDE = 250;
const BYTES = LFW_SIDE * LFW_SIDE * 3;
/** Photographs that are decoded at the same time. */
const AT_ONCE = 16;

/** What threads share: pixels, one photograph after the other, and their faces, the central one first. */
export interface SharedPhotographs {
  readonly labels: readonly Labelled[];
  readonly pixels: SharedArrayBuffer;
}

/** The label with its most central face first. */
function centralFirst({ path, faces }: Labelled): Labelled {
  const sure = faces.filter(({ score }) => score >= SURE);
  const central = chooseFace(sure, "central", { width: LFW_SIDE, height: LFW_SIDE });
  return { path, faces: [central, ...faces.filter((face) => face !== central)] };
}

/** Decodes the photographs in which a face is sure. */
export async function loadPhotographs(all: readonly Labelled[]): Promise<SharedPhotographs> {
  const labels = all.filter(({ faces }) => faces.some(({ score }) => score >= SURE)).map(centralFirst);
  const pixels = new SharedArrayBuffer(labels.length * BYTES);
  const bytes = new Uint8Array(pixels);
  for (let first = 0; first < labels.length; first += AT_ONCE) {
    const some = labels.slice(first, first + AT_ONCE);
    const decoded = await Promise.all(some.map(({ path }) => decodePixels(join(LFW, path))));
    for (const [i, { data, width, height }] of decoded.entries()) {
      if (width !== LFW_SIDE || height !== LFW_SIDE) {
        throw new Error(
          `${some[i]!.path} has ${width}×${height} pixels, expected LFW's ${LFW_SIDE}×${LFW_SIDE}`,
        );
      }
      bytes.set(data, (first + i) * BYTES);
    }
  }
  return { labels, pixels };
}

/** The photographs as scenes take them. */
export function viewPhotographs({ labels, pixels }: SharedPhotographs): Photographs {
  return {
    count: labels.length,
    at: (index) => ({
      pixels: {
        data: new Uint8Array(pixels, index * BYTES, BYTES),
        width: LFW_SIDE,
        height: LFW_SIDE,
      },
      faces: labels[index]!.faces,
    }),
  };
}
