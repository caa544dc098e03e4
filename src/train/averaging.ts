/** @file What replicas in worker threads average and hand to each other: lanes of shared memory and a barrier. */
import { FaceError } from "../base/errors.ts";

const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;

/** Memory that the replicas share; plain data, to be sent to each worker thread. */
export interface SharedLanes {
  readonly replicas: number;
  /** Elements that each replica may bring. */
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

/** One replica's side of it. */
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
   * @param isWanted whether this replica uses a value; others stay as they are.
   * @throws FaceError `INTERNAL` when another replica failed meanwhile.
   */
  average(values: readonly Float32Array[], isWanted: (index: number) => boolean = () => true): void {
    this.#exchange(
      values,
      () => true,
      (lanes, at, value, index) => {
        if (isWanted(index)) meanOf(lanes, at, value);
      },
    );
  }

  /**
   * Gives every replica the values that one of them owns; blocks until all have come.
   * @param owners number of the replica that owns each value.
   * @throws FaceError `INTERNAL` when another replica failed meanwhile.
   */
  share(values: readonly Float32Array[], owners: readonly number[]): void {
    this.#exchange(
      values,
      (index) => owners[index] === this.#index,
      (lanes, at, value, index) => {
        const owner = owners[index]!;
        if (owner !== this.#index) value.set(lanes[owner]!.subarray(at, at + value.length));
      },
    );
  }

  /** Writes values into the own lane, waits for all, and takes from all lanes. */
  #exchange(
    values: readonly Float32Array[],
    isGiven: (index: number) => boolean,
    take: (lanes: readonly Float32Array[], at: number, value: Float32Array, index: number) => void,
  ): void {
    const starts: number[] = [];
    let end = 0;
    for (const value of values) {
      starts.push(end);
      end += value.length;
    }
    const own = this.#lane(this.#index);
    for (const [index, value] of values.entries()) if (isGiven(index)) own.set(value, starts[index]);
    this.#barrier();
    const lanes = Array.from({ length: this.#lanes.replicas }, (_, i) => this.#lane(i));
    for (const [index, value] of values.entries()) take(lanes, starts[index]!, value, index);
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

/**
 * Which of several replicas owns each value: the largest first, each to the replica that has least.
 * @param sizes elements by name.
 */
export function ownersOf(sizes: ReadonlyMap<string, number>, replicas: number): Map<string, number> {
  const loads = new Array<number>(replicas).fill(0);
  const owners = new Map<string, number>();
  for (const [name, size] of [...sizes].toSorted(([, a], [, b]) => b - a)) {
    const owner = loads.indexOf(Math.min(...loads));
    loads[owner]! += size;
    owners.set(name, owner);
  }
  return owners;
}
