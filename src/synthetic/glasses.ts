/** @file Glasses in front of the eyes, on a plane of their own so that they shift against the face as it turns. */
import type { Glasses } from "./circumstances.ts";
import type { Paint, Rgb } from "./colour.ts";
import type { Eyes } from "./person.ts";

const GLINT: Rgb = [0.8, 0.85, 0.9];

/**
 * Paints the glasses over a pixel.
 * @param x where the ray passes the plane of the glasses
 * @param lit brightness of the light, for the rim
 */
export function paintGlasses(
  glasses: Glasses,
  eyes: Eyes,
  x: number,
  y: number,
  soft: number,
  lit: number,
  out: Paint,
): void {
  const { halfWidth, halfHeight, squareness, rim } = glasses;
  const side = Math.abs(x);
  const dy = y - eyes.y - 0.03;
  if (Math.abs(dy) > halfHeight + 0.1 || side > eyes.x + halfWidth + 0.1) return;
  const power = Math.abs((side - eyes.x) / halfWidth) ** squareness + Math.abs(dy / halfHeight) ** squareness;
  const distance = (power ** (1 / squareness) - 1) * halfHeight;
  const lens = Math.max(0, Math.min(1, 0.5 - distance / soft));
  const glint = Math.max(0, 1 - Math.abs(side - eyes.x + dy - 0.03) / 0.04) * 0.12;
  out.cover(glasses.colour, lens * glasses.tint);
  out.cover(GLINT, lens * glint);
  const frame = Math.max(0, Math.min(1, 0.5 - (Math.abs(distance) - rim / 2) / soft));
  const bridge = side < eyes.x - halfWidth * 0.9 ? inBridge(dy, rim, soft) : 0;
  out.coverScaled(glasses.colour, lit, Math.max(frame, bridge));
}

function inBridge(dy: number, rim: number, soft: number): number {
  return Math.max(0, Math.min(1, 0.5 - (Math.abs(dy + 0.03) - rim / 2) / soft));
}
