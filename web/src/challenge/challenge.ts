/**
 * @file A challenge before the camera: turn left, turn right and nod, in an order that is drawn by lot. It stops a still
 * photograph, and nothing more: a video of the person, a mask or a second screen that obeys may pass.
 */
import type { Landmarks, Point } from "../../../src/faces/face.ts";
import { poseOf } from "../../../src/faces/quality.ts";
import { type Parallax, parallaxOf } from "./parallax.ts";

/** What the person is asked to do; left and right are the person's own. */
export const MOVES = ["left", "right", "nod"] as const;
export type Move = (typeof MOVES)[number];

/** One look at the camera. */
export interface Look {
  /** Milliseconds from any start. */
  readonly time: number;
  /** The points of the one face, or why there are none. */
  readonly face: Landmarks | "none" | "several";
}

/** Why a challenge is over without success. */
export type Failure = "gone" | "several" | "jumped" | "slow" | "wrong";

export type Progress =
  /** Look straight into the camera: before the first move, and after each. */
  | { readonly kind: "front"; readonly done: number }
  | { readonly kind: "move"; readonly move: Move; readonly done: number }
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly why: Failure };

/** Looks from the front that are averaged into the reference. */
const REFERENCE_LOOKS = 3;
/** Degrees from the front at most. */
const FRONT = 18;
/** Movement of the nose, in distances between the eyes, that counts; about 15° of a head, whose nose stands out by 0.45 of it. */
const MOVED = 0.12;
/** A nod shows less of the nose's depth; that a picture is flat is decided by the turns. */
const NODDED = 0.07;
/** Below this the head is at the front again. */
const RETURNED = 0.05;
/** Looks in a row that must agree. */
const LOOKS = 2;
/** Milliseconds. */
const MOST_PER_MOVE = 20_000;
const MOST_GONE = 2_000;
/** Distance between the eyes' middle in two looks, in distances between the eyes: further is another face. */
const MOST_JUMP = 2.5;

interface State {
  readonly progress: Progress;
  readonly fronts: readonly Landmarks[];
  readonly reference: Landmarks | undefined;
  /** Looks in a row that showed what is wanted, or the opposite. */
  readonly agreeing: number;
  readonly opposing: number;
  /** When the present task began. */
  readonly since: number;
  readonly last: { readonly time: number; readonly face: Landmarks } | undefined;
}

const START: State = {
  progress: { kind: "front", done: 0 },
  fronts: [],
  reference: undefined,
  agreeing: 0,
  opposing: 0,
  since: Number.NaN,
  last: undefined,
};

const eyesOf = ([[ax, ay], [bx, by]]: Landmarks) => ({
  middle: [(ax + bx) / 2, (ay + by) / 2] as Point,
  apart: Math.hypot(ax - bx, ay - by),
});

function isJump(before: Landmarks, now: Landmarks): boolean {
  const [a, b] = [eyesOf(before), eyesOf(now)];
  const moved = Math.hypot(a.middle[0] - b.middle[0], a.middle[1] - b.middle[1]);
  const grown = Math.max(a.apart, b.apart) / Math.min(a.apart, b.apart);
  return moved > MOST_JUMP * Math.max(a.apart, b.apart) || grown > 2;
}

/** Point by point. */
function meanOf(faces: readonly Landmarks[]): Landmarks {
  const point = (index: 0 | 1 | 2 | 3 | 4): Point => [
    faces.reduce((sum, face) => sum + face[index][0], 0) / faces.length,
    faces.reduce((sum, face) => sum + face[index][1], 0) / faces.length,
  ];
  return [point(0), point(1), point(2), point(3), point(4)];
}

/** How far a movement goes as asked: 1 and more is enough, −1 and less is the opposite. The person's left is the image's right. */
function extent(move: Move, { x, y }: Parallax): number {
  if (move === "nod") return y / NODDED;
  return (move === "left" ? x : -x) / MOVED;
}

const failed = (state: State, why: Failure): State => ({ ...state, progress: { kind: "failed", why } });

/** The reference is made of the first looks from the front. */
function atStart(state: State, look: { time: number; face: Landmarks }, moves: readonly Move[]): State {
  const { yaw, pitch } = poseOf(look.face);
  const isFront = Math.abs(yaw) < FRONT && Math.abs(pitch) < FRONT + 7;
  const fronts = isFront ? [...state.fronts, look.face] : [];
  if (fronts.length < REFERENCE_LOOKS) return { ...state, fronts };
  return {
    ...state,
    reference: meanOf(fronts),
    since: look.time,
    progress: { kind: "move", move: moves[0]!, done: 0 },
  };
}

function atMove(state: State, move: Move, done: number, parallax: Parallax, time: number): State {
  const reached = extent(move, parallax);
  const agreeing = reached >= 1 ? state.agreeing + 1 : 0;
  // A head that bends may turn a little; only clear turns to the other side are wrong.
  const opposing = move !== "nod" && reached <= -1 ? state.opposing + 1 : 0;
  if (opposing >= LOOKS) return failed(state, "wrong");
  if (agreeing < LOOKS) return { ...state, agreeing, opposing };
  return { ...state, agreeing: 0, opposing: 0, since: time, progress: { kind: "front", done: done + 1 } };
}

function atReturn(
  state: State,
  done: number,
  { x, y }: Parallax,
  time: number,
  moves: readonly Move[],
): State {
  const agreeing = Math.hypot(x, y) <= RETURNED ? state.agreeing + 1 : 0;
  if (agreeing < LOOKS) return { ...state, agreeing };
  const next = moves[done];
  const progress: Progress = next === undefined ? { kind: "passed" } : { kind: "move", move: next, done };
  return { ...state, agreeing: 0, since: time, progress };
}

function withoutFace(state: State, time: number): State {
  const seen = state.last?.time ?? state.since;
  return time - seen > MOST_GONE && state.reference !== undefined
    ? failed(state, "gone")
    : { ...state, agreeing: 0, opposing: 0 };
}

function after(before: State, { time, face }: Look, moves: readonly Move[]): State {
  const { progress } = before;
  if (progress.kind === "passed" || progress.kind === "failed") return before;
  const state = Number.isNaN(before.since) ? { ...before, since: time } : before;
  if (time - state.since > MOST_PER_MOVE) return failed(state, "slow");
  if (face === "several") return state.reference === undefined ? state : failed(state, "several");
  if (face === "none") return withoutFace(state, time);
  if (state.reference !== undefined && state.last !== undefined && isJump(state.last.face, face)) {
    return failed(state, "jumped");
  }
  const seen = { ...state, last: { time, face } };
  if (state.reference === undefined) return atStart(seen, { time, face }, moves);
  const parallax = parallaxOf(state.reference, face);
  if (parallax === undefined) return { ...seen, agreeing: 0, opposing: 0 };
  return progress.kind === "move"
    ? atMove(seen, progress.move, progress.done, parallax, time)
    : atReturn(seen, progress.done, parallax, time, moves);
}

/** Follows the looks at a camera one by one. */
export class Challenge {
  readonly #moves: readonly Move[];
  #state = START;

  /** @param moves in the order in which they are asked. */
  constructor(moves: readonly Move[]) {
    this.#moves = moves;
  }

  /** What comes next, after one more look. */
  see(look: Look): Progress {
    this.#state = after(this.#state, look, this.#moves);
    return this.#state.progress;
  }
}

/** What the looks at a camera come to. */
export function judge(looks: readonly Look[], moves: readonly Move[]): Progress {
  return looks.reduce((state, look) => after(state, look, moves), START).progress;
}

/** The moves in an order by lot, so that nobody can prepare for it. */
export function drawnMoves(random: () => number = secureRandom): Move[] {
  const left: Move[] = [...MOVES];
  const drawn: Move[] = [];
  while (left.length > 0) drawn.push(...left.splice(Math.floor(random() * left.length), 1));
  return drawn;
}

const secureRandom = () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
