/** @file Large photographs made by program: faces from a dataset at any size, place and angle on drawn backgrounds. */
import type { Random } from "../../src/base/random.ts";
import { Pyramid, sample } from "../../src/faces/pyramid.ts";
import { applySimilarity, invert, similarityAbout } from "../../src/faces/similarity.ts";
import type { Pixels } from "../../src/image/settings.ts";

/** What of a 250×250 photograph of LFW is pasted: its middle, face and hair. */
const PASTED = 180;
/** Width of a face's box in LFW, on average (docs/faces.md). */
const LFW_FACE_WIDTH = 95;

/** A face in a scene. */
export interface ScenePlace {
  /** Centre of the pasted photograph in the scene. */
  readonly centre: readonly [x: number, y: number];
  /** Width of the face's box in the scene's pixels. */
  readonly faceWidth: number;
  /** Degrees, clockwise. */
  readonly angle: number;
}

/** A plane wave by the sines and cosines of its columns and rows. */
function wave(width: number, height: number, random: Random) {
  const [x, y] = [random.normal() / random.between(30, 400), random.normal() / random.between(30, 400)];
  const [phase, size] = [random.between(0, 7), random.between(5, 40)];
  return {
    sinX: Float32Array.from({ length: width }, (_, column) => size * Math.sin(x * column + phase)),
    cosX: Float32Array.from({ length: width }, (_, column) => size * Math.cos(x * column + phase)),
    sinY: Float32Array.from({ length: height }, (_, row) => Math.sin(y * row)),
    cosY: Float32Array.from({ length: height }, (_, row) => Math.cos(y * row)),
  };
}

/** Smooth colours with some grain and an edge, as walls, lawns and skies have. */
export function drawnBackground(width: number, height: number, random: Random): Pixels {
  const data = new Uint8Array(width * height * 3);
  const horizon = random.between(0.2, 0.9) * height;
  const grain = random.between(0, 12);
  for (let colour = 0; colour < 3; colour++) {
    const base = random.between(40, 200);
    const waves = Array.from({ length: 3 }, () => wave(width, height, random));
    for (let row = 0; row < height; row++) {
      const ground = base + (row > horizon ? 25 : 0);
      for (let column = 0, at = row * width * 3 + colour; column < width; column++, at += 3) {
        let value = ground + grain * (((column * 7919 + row * 104_729 + colour * 31) % 97) / 48 - 1);
        for (const { sinX, cosX, sinY, cosY } of waves) {
          value += sinX[column]! * cosY[row]! + cosX[column]! * sinY[row]!;
        }
        data[at] = Math.max(0, Math.min(255, value));
      }
    }
  }
  return { data, width, height };
}

/** Pastes the middle of a photograph into a scene. */
export function paste(scene: Pixels, photograph: Pixels, { centre, faceWidth, angle }: ScenePlace): void {
  const scale = faceWidth / LFW_FACE_WIDTH;
  const middle = [(photograph.width - 1) / 2, (photograph.height - 1) / 2] as const;
  const toScene = similarityAbout(middle, centre, scale, (angle * Math.PI) / 180);
  const reach = Math.ceil((PASTED / Math.SQRT2) * scale) + 1;
  const [left, top] = [Math.round(centre[0]) - reach, Math.round(centre[1]) - reach];
  const toPhotograph = invert({ ...toScene, x0: toScene.x0 - left, y0: toScene.y0 - top });
  const side = 2 * reach + 1;
  const patch = sample(new Pyramid(photograph), toPhotograph, side, side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [x, y] = applySimilarity(toPhotograph, [column, row]);
      const [sceneX, sceneY] = [left + column, top + row];
      const inPatch = Math.max(Math.abs(x - middle[0]), Math.abs(y - middle[1])) <= PASTED / 2;
      const inScene = sceneX >= 0 && sceneY >= 0 && sceneX < scene.width && sceneY < scene.height;
      if (!(inPatch && inScene)) continue;
      const from = (row * side + column) * 3;
      scene.data.set(patch.data.subarray(from, from + 3), (sceneY * scene.width + sceneX) * 3);
    }
  }
}
