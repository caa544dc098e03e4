/** @file Averages values over replicas in worker threads: lanes of shared memory and a barrier. */
import { FaceError } from "../base/errors.ts";

const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;

/** Memory that the replicas share; plain data, to be sent to each worker thread. */
export interface SharedLanes {
  readonly replicas: number;
  /** Elements that each replica brings. */
  readonly length: number;
  readonly values: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

/** Two sets of lanes: while slow replicas still read one, fast ones may write the other. */
const SETS = 2;

export function createLanes(replicas: number, length: number): SharedLanes {
  return {
    replicas,
    length,
    values: new SharedArrayBuffer(SETS * replicas * length * Float32Array.BYTES_PER_ELEMENT),
    control: new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT),
  };
}

/** Wakes all who wait, for good: one of the replicas failed. */
export function abortLanes({ control }: SharedLanes): void {
  const state = new Int32Array(control);
  Atomics.store(state, ABORTED, 1);
  Atomics.notify(state, GENERATION);
}

/** One replica's side of the averaging. */
export class Averager {
  readonly #lanes: SharedLanes;
  readonly #index: number;
  readonly #state: Int32Array;
  #set = 0;

  constructor(lanes: SharedLanes, index: number) {
    this.#lanes = lanes;
    this.#index = index;
    this.#state = new Int32Array(lanes.control);
  }

  /**
   * Replaces the values by their mean over all replicas; blocks until all have come. The sum is taken in the order of
   * the replicas, so every replica ends with the same bits.
   * @throws FaceError `INTERNAL` when another replica failed meanwhile.
   */
  average(values: readonly Float32Array[]): void {
    let at = 0;
    const own = this.#lane(this.#index);
    for (const value of values) {
      own.set(value, at);
      at += value.length;
    }
    this.#barrier();
    const lanes = Array.from({ length: this.#lanes.replicas }, (_, i) => this.#lane(i));
    at = 0;
    for (const value of values) {
      meanOf(lanes, at, value);
      at += value.length;
    }
    this.#set = (this.#set + 1) % SETS;
  }

  #lane(index: number): Float32Array {
    const { values, replicas, length } = this.#lanes;
    const offset = (this.#set * replicas + index) * length * Float32Array.BYTES_PER_ELEMENT;
    return new Float32Array(values, offset, length);
  }

  #barrier(): void {
    const state = this.#state;
    const generation = Atomics.load(state, GENERATION);
    if (Atomics.add(state, ARRIVED, 1) + 1 === this.#lanes.replicas) {
      Atomics.store(state, ARRIVED, 0);
      Atomics.add(state, GENERATION, 1);
      Atomics.notify(state, GENERATION);
    } else {
      while (Atomics.load(state, GENERATION) === generation && Atomics.load(state, ABORTED) === 0) {
        Atomics.wait(state, GENERATION, generation, ABORT_POLL_MS);
      }
    }
    if (Atomics.load(state, ABORTED) !== 0) throw new FaceError("INTERNAL", "another replica failed");
  }
}

/** How often a waiting replica looks whether the others have failed. */
const ABORT_POLL_MS = 100;

function meanOf(lanes: readonly Float32Array[], from: number, into: Float32Array): void {
  const share = 1 / lanes.length;
  for (let i = 0; i < into.length; i++) {
    let sum = 0;
    // By number: an iterator at each element takes half as long again.
    for (let lane = 0; lane < lanes.length; lane++) sum += lanes[lane]![from + i]!;
    into[i] = sum * share;
  }
}
