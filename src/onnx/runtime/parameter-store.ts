/** @file Values that persist between runs: weights, optimiser slots, derivatives between the two halves of a step. */
import { FaceError } from "../../base/errors.ts";
import { sameShape, shapeText, sizeOf, type Tensor, type TensorMap } from "../../base/tensor.ts";
import type { ParameterPort } from "../lower/lower.ts";
import { inverse, permuted, permuteTensor } from "../lower/lowering.ts";

/** One value's memory: the buffer that the next run reads and the one it writes; they are swapped after a run. */
interface Slot {
  readonly port: ParameterPort;
  current: Tensor<"float32">;
  next: Tensor<"float32"> | undefined;
}

function blank({ perm, shape }: ParameterPort): Tensor<"float32"> {
  const physical = perm === undefined ? shape : permuted(perm, shape);
  return { dtype: "float32", shape: physical, data: new Float32Array(sizeOf(physical)) };
}

/** Values by name in the runtime's order of axes, shared by any number of sessions. They start at zero. */
export class ParameterStore {
  readonly #slots = new Map<string, Slot>();

  /** Allocates what a model reads and writes. */
  admit(ports: readonly ParameterPort[]): void {
    for (const port of ports) {
      const slot = this.#slots.get(port.name) ?? { port, current: blank(port), next: undefined };
      if (port.output !== undefined) slot.next ??= blank(port);
      this.#slots.set(port.name, slot);
    }
  }

  /** The port of a value, to admit the same value in another store. */
  port(name: string): ParameterPort {
    return { ...this.#slot(name).port, output: undefined };
  }

  /** What a run with these ports reads (by input name) and writes to (by output name). */
  tensors(ports: readonly ParameterPort[]): { reads: Map<string, Tensor>; writes: Map<string, Tensor> } {
    const reads = new Map<string, Tensor>();
    const writes = new Map<string, Tensor>();
    for (const port of ports) {
      const slot = this.#slot(port.name);
      if (port.input !== undefined) reads.set(port.input, slot.current);
      if (port.output !== undefined && slot.next !== undefined) writes.set(port.output, slot.next);
    }
    return { reads, writes };
  }

  /** Makes the values that a run has written current. */
  commit(ports: readonly ParameterPort[]): void {
    for (const { name, output } of ports) {
      const slot = this.#slot(name);
      if (output !== undefined && slot.next !== undefined)
        [slot.current, slot.next] = [slot.next, slot.current];
    }
  }

  /** The elements of a value in the runtime's order of axes; writing to them changes the value. */
  elements(name: string): Float32Array {
    return this.#slot(name).current.data;
  }

  /**
   * Sets values in the graph's order of axes; names that no model uses are ignored.
   * @throws FaceError `CHECKPOINT_MISMATCH` when one has another shape.
   */
  load(values: TensorMap): void {
    for (const [name, value] of values) {
      const slot = this.#slots.get(name);
      if (slot === undefined) continue;
      const { shape, perm } = slot.port;
      if (!sameShape(value.shape, shape)) {
        throw new FaceError(
          "CHECKPOINT_MISMATCH",
          `the network keeps ${name} as ${shapeText(shape)}, got ${shapeText(value.shape)}`,
        );
      }
      const arranged = perm === undefined ? value : permuteTensor(value, perm);
      slot.current.data.set(arranged.data as Float32Array);
    }
  }

  /** Copies of values in the graph's order of axes. */
  read(names: readonly string[]): Map<string, Tensor> {
    return new Map(
      names.map((name) => {
        const { port, current } = this.#slot(name);
        const value = port.perm === undefined ? current : permuteTensor(current, inverse(port.perm));
        return [name, { ...value, data: (value.data as Float32Array).slice() } as Tensor];
      }),
    );
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new FaceError("INTERNAL", `internal: no parameter is called ${name}`);
    return slot;
  }
}
