/** @file All-reduce and broadcast between replicas in worker threads, through shared memory and a barrier. */
import { FaceError } from "../base/errors.ts";

const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;

/** Memory that the replicas share; plain data for worker threads. */
export interface ReduceBuffer {
  readonly replicas: number;
  /** Most elements of a replica. */
  readonly length: number;
  readonly values: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

/** Two sets of slots: while slow replicas still read one, fast ones may write the other. */
const SETS = 2;

export function createReduceBuffer(replicas: number, length: number): ReduceBuffer {
  return {
    replicas,
    length,
    values: new SharedArrayBuffer(SETS * replicas * length * Float32Array.BYTES_PER_ELEMENT),
    control: new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT),
  };
}

/** Makes all waiting replicas fail, because one of them has. */
export function abortReduce({ control }: ReduceBuffer): void {
  const state = new Int32Array(control);
  Atomics.store(state, ABORTED, 1);
  Atomics.notify(state, GENERATION);
}

/** One replica's access to the buffer. Every call blocks until all replicas have made it. */
export class AllReduce {
  readonly #buffer: ReduceBuffer;
  readonly #index: number;
  readonly #state: Int32Array;
  #set = 0;

  constructor(buffer: ReduceBuffer, index: number) {
    this.#buffer = buffer;
    this.#index = index;
    this.#state = new Int32Array(buffer.control);
  }

  /**
   * Replaces values by their mean over all replicas. The sum follows the order of the replicas, so that all end with the
   * same bits.
   * @param isWanted whether this replica uses a value; others stay as they are.
   * @throws FaceError `INTERNAL` when another replica fails.
   */
  mean(values: readonly Float32Array[], isWanted: (index: number) => boolean = () => true): void {
    this.#exchange(
      values,
      () => true,
      (slots, at, value, index) => {
        if (isWanted(index)) meanOf(slots, at, value);
      },
    );
  }

  /**
   * Copies each value from the replica that owns it to all others.
   * @param owners number of the replica that owns each value.
   * @throws FaceError `INTERNAL` when another replica fails.
   */
  broadcast(values: readonly Float32Array[], owners: readonly number[]): void {
    this.#exchange(
      values,
      (index) => owners[index] === this.#index,
      (slots, at, value, index) => {
        const owner = owners[index]!;
        if (owner !== this.#index) value.set(slots[owner]!.subarray(at, at + value.length));
      },
    );
  }

  /** Writes values into the own slot, waits for all, and reads from all slots. */
  #exchange(
    values: readonly Float32Array[],
    isGiven: (index: number) => boolean,
    take: (slots: readonly Float32Array[], at: number, value: Float32Array, index: number) => void,
  ): void {
    const starts: number[] = [];
    let end = 0;
    for (const value of values) {
      starts.push(end);
      end += value.length;
    }
    const own = this.#slot(this.#index);
    for (const [index, value] of values.entries()) if (isGiven(index)) own.set(value, starts[index]);
    this.#barrier();
    const slots = Array.from({ length: this.#buffer.replicas }, (_, i) => this.#slot(i));
    for (const [index, value] of values.entries()) take(slots, starts[index]!, value, index);
    this.#set = (this.#set + 1) % SETS;
  }

  #slot(index: number): Float32Array {
    const { values, replicas, length } = this.#buffer;
    const offset = (this.#set * replicas + index) * length * Float32Array.BYTES_PER_ELEMENT;
    return new Float32Array(values, offset, length);
  }

  #barrier(): void {
    const state = this.#state;
    const generation = Atomics.load(state, GENERATION);
    if (Atomics.add(state, ARRIVED, 1) + 1 === this.#buffer.replicas) {
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

/** How often a waiting replica checks whether another has failed. */
const ABORT_POLL_MS = 100;

function meanOf(slots: readonly Float32Array[], from: number, into: Float32Array): void {
  const factor = 1 / slots.length;
  for (let i = 0; i < into.length; i++) {
    let sum = 0;
    // An index: an iterator per element takes half as long again.
    for (let slot = 0; slot < slots.length; slot++) sum += slots[slot]![from + i]!;
    into[i] = sum * factor;
  }
}

/**
 * The replica that owns each value: the largest first, each to the replica with the fewest elements.
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
