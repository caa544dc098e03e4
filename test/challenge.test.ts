/** @file The page's challenge before the camera: a head that turns passes, a still photograph never does, however it is held. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../src/base/random.ts";
import { templateOf } from "../src/faces/alignment.ts";
import type { Landmarks, Point } from "../src/faces/face.ts";
import {
  drawnMoves,
  type Failure,
  judge,
  type Look,
  MOVES,
  type Move,
  type Progress,
} from "../web/src/challenge/challenge.ts";
import { parallaxOf } from "../web/src/challenge/parallax.ts";

const DEGREE = Math.PI / 180;
/** Distance between the eyes in the template of 112 pixels. */
const EYES = 35.2;
/** A grown head: how far nose and mouth stand before the eyes. */
const HEAD = [0, 0, 0.45 * EYES, 0.05 * EYES, 0.05 * EYES];
const FLAT = [0, 0, 0, 0, 0];

interface Pose {
  /** Degrees: to the image's right, down, clockwise. */
  readonly yaw?: number;
  readonly pitch?: number;
  readonly roll?: number;
  readonly scale?: number;
  readonly shift?: Point;
}

/** Where the camera sees the points, in perspective from `away` distances between the eyes, with the detector's noise. */
function seen(depths: readonly number[], pose: Pose, random?: Random, away = 12): Landmarks {
  const { yaw = 0, pitch = 0, roll = 0, scale = 3, shift = [320, 240] } = pose;
  const points = templateOf(112).map(([px, py], i): Point => {
    const [x, y, z] = [px - 56, py - 72, depths[i]!];
    const [cy, sy] = [Math.cos(yaw * DEGREE), Math.sin(yaw * DEGREE)];
    const [cp, sp] = [Math.cos(pitch * DEGREE), Math.sin(pitch * DEGREE)];
    const [cr, sr] = [Math.cos(roll * DEGREE), Math.sin(roll * DEGREE)];
    const [x1, z1] = [cy * x + sy * z, cy * z - sy * x];
    const [y1, z2] = [cp * y + sp * z1, cp * z1 - sp * y];
    const near = 1 / (1 - z2 / (away * EYES));
    const noise = () => (random === undefined ? 0 : 0.012 * EYES * random.normal());
    const [u, v] = [(cr * x1 - sr * y1) * near + noise(), (sr * x1 + cr * y1) * near + noise()];
    return [u * scale + shift[0], v * scale + shift[1]];
  });
  return points as unknown as Landmarks;
}

const STEP_MS = 300;
const looks = (faces: readonly Look["face"][]): Look[] =>
  faces.map((face, i) => ({ time: i * STEP_MS, face }));

const POSES: Readonly<Record<Move, Pose>> = { left: { yaw: 24 }, right: { yaw: -24 }, nod: { pitch: 20 } };

/** A head that does what it is asked, in steps as a head moves. */
function obeying(moves: readonly Move[], random?: Random): Look[] {
  const still = (count: number) => Array.from({ length: count }, () => seen(HEAD, {}, random));
  const faces = [...still(5)];
  for (const move of moves) {
    const { yaw = 0, pitch = 0 } = POSES[move];
    for (const part of [0.3, 0.6, 0.9, 1, 1, 1, 0.8, 0.4]) {
      faces.push(seen(HEAD, { yaw: yaw * part, pitch: pitch * part }, random));
    }
    faces.push(...still(5));
  }
  return looks(faces);
}

const why = (progress: Progress): Failure | undefined =>
  progress.kind === "failed" ? progress.why : undefined;

const ORDERS: readonly (readonly Move[])[] = [
  ["left", "right", "nod"],
  ["left", "nod", "right"],
  ["right", "left", "nod"],
  ["right", "nod", "left"],
  ["nod", "left", "right"],
  ["nod", "right", "left"],
];

describe("the movement of the nose", () => {
  it("is that of a head's depth when it turns", () => {
    const front = seen(HEAD, {}, undefined, 1e6);
    for (const yaw of [-30, -15, 15, 30]) {
      const { x, y } = parallaxOf(front, seen(HEAD, { yaw, roll: 8, scale: 2 }, undefined, 1e6))!;
      // The nose stands 0.425 before the plane through eyes and mouth.
      expect(x).toBeCloseTo(0.425 * Math.tan(yaw * DEGREE), 1);
      expect(Math.abs(y)).toBeLessThan(0.03);
    }
    expect(parallaxOf(front, seen(HEAD, { pitch: 20 }, undefined, 1e6))!.y).toBeGreaterThan(0.12);
  });

  it("is none on a flat picture under any affine view", () => {
    const front = seen(FLAT, {}, undefined, 1e9);
    fc.assert(
      fc.property(
        fc.record({
          yaw: fc.integer({ min: -45, max: 45 }),
          pitch: fc.integer({ min: -45, max: 45 }),
          roll: fc.integer({ min: -180, max: 180 }),
          scale: fc.integer({ min: 1, max: 9 }),
        }),
        (pose) => {
          const { x, y } = parallaxOf(front, seen(FLAT, pose, undefined, 1e9)) ?? { x: 0, y: 0 };
          expect(Math.hypot(x, y)).toBeLessThan(1e-6);
        },
      ),
    );
  });
});

describe("the challenge", () => {
  it.each(ORDERS)("is passed by a head that turns as asked: %s, %s, %s", (...moves) => {
    expect(judge(obeying(moves), moves)).toEqual({ kind: "passed" });
    for (let seed = 0; seed < 40; seed++) {
      expect(judge(obeying(moves, new Random(seed)), moves), `seed ${seed}`).toEqual({ kind: "passed" });
    }
  });

  it("asks for one movement after the other", () => {
    const moves = ORDERS[0]!;
    const all = obeying(moves);
    const kinds = all.map((_, i) => {
      const progress = judge(all.slice(0, i + 1), moves);
      return progress.kind === "move" ? progress.move : progress.kind;
    });
    expect(kinds.filter((kind, i) => kind !== kinds[i - 1])).toEqual([
      "front",
      "left",
      "front",
      "right",
      "front",
      "nod",
      "front",
      "passed",
    ]);
  });

  /** A still photograph by hand: each pose is approached from the one before. */
  function heldByHand(random: Random, away: number, depths: readonly number[] = FLAT): Look[] {
    const faces: Landmarks[] = Array.from({ length: 4 }, () => seen(depths, {}, random, away));
    let [yaw, pitch, roll, scale, x, y] = [0, 0, 0, 3, 320, 240];
    for (let move = 0; move < 14; move++) {
      const to = [
        random.between(-50, 50),
        random.between(-50, 50),
        random.between(-30, 30),
        random.between(2, 4.5),
        random.between(220, 420),
        random.between(180, 300),
      ] as const;
      for (let step = 0; step < 5; step++) {
        const part = 1 / (5 - step);
        yaw += (to[0] - yaw) * part;
        pitch += (to[1] - pitch) * part;
        roll += (to[2] - roll) * part;
        scale += (to[3] - scale) * part;
        x += (to[4] - x) * part;
        y += (to[5] - y) * part;
        faces.push(seen(depths, { yaw, pitch, roll, scale, shift: [x, y] }, random, away));
      }
    }
    return looks(faces);
  }

  it("is never passed by a still photograph that is moved, tilted, turned and scaled by hand", () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = new Random(seed);
      // From arm's length down to 30 cm from the lens.
      const photograph = heldByHand(random, random.between(5, 14));
      for (const moves of ORDERS) expect(judge(photograph, moves).kind, `seed ${seed}`).not.toBe("passed");
    }
  });

  it("is never passed by a photograph that is held still, at any angle", () => {
    for (const yaw of [-40, -20, 0, 20, 40]) {
      const still = looks(Array.from({ length: 60 }, () => seen(HEAD, { yaw })));
      for (const moves of ORDERS) expect(judge(still, moves).kind).not.toBe("passed");
    }
  });

  it("ends with what went wrong", () => {
    const moves = ORDERS[0]!;
    const front = Array.from({ length: 4 }, () => seen(HEAD, {}));
    const ended = (...faces: Look["face"][]) => why(judge(looks([...front, ...faces]), moves));
    expect(ended(...Array.from({ length: 9 }, () => "none" as const))).toBe("gone");
    expect(ended("none", "none", seen(HEAD, {}))).toBe(undefined);
    expect(ended("several")).toBe("several");
    expect(ended(seen(HEAD, { shift: [900, 240] }))).toBe("jumped");
    expect(ended(seen(HEAD, { yaw: -24 }), seen(HEAD, { yaw: -24 }))).toBe("wrong");
    expect(ended(...Array.from({ length: 80 }, () => seen(HEAD, {})))).toBe("slow");
  });

  it("waits for a face from the front", () => {
    const aside = looks(Array.from({ length: 20 }, () => seen(HEAD, { yaw: 40 })));
    expect(judge(aside, MOVES)).toEqual({ kind: "front", done: 0 });
    expect(judge(looks(["several", "none", "none"]), MOVES)).toEqual({ kind: "front", done: 0 });
  });

  it("draws every order, each about as often", () => {
    const random = new Random(1);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = drawnMoves(() => random.uniform()).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted()).toEqual(ORDERS.map((moves) => moves.join()).toSorted());
    expect(Math.min(...counts.values())).toBeGreaterThan(850);
  });
});
