/** @file Collects weights, running statistics and layer descriptions while layers build a network. */
import { FaceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { shapeText, sizeOf, type Tensor } from "../base/tensor.ts";
import { parameter } from "../graph/build.ts";
import type { Node, SymbolicShape } from "../graph/ops.ts";
import { type Fans, fansOf, type Initializer } from "./initializers.ts";

/** A weight as its layer declares it. */
export interface Weight {
  /** `layer/role`, such as `conv1/kernel`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  readonly fans: Fans;
  /** Whether the optimiser changes it; running statistics are not trainable. */
  readonly trainable: boolean;
  /** Whether weight decay applies: to kernels, not to biases, scales, slopes and statistics. */
  readonly decays: boolean;
}

/** A layer for summaries and drawings. */
export interface Layer {
  readonly name: string;
  /** Keras' name of its class. */
  readonly kind: string;
  readonly outputShape: SymbolicShape;
  readonly weights: readonly Weight[];
  /** Names of the layers before it. */
  readonly inputs: readonly string[];
}

type WeightOptions = Pick<Weight, "initializer"> & Partial<Pick<Weight, "fans" | "trainable" | "decays">>;

/** A network under construction. Layers with the same name share their weights, as the two backbones of a Siamese network do. */
export class NetworkBuilder {
  /** Decides between batch and running statistics, and whether dropout applies. */
  readonly mode: "training" | "inference";
  readonly #weights = new Map<string, { declared: Weight; node: Node }>();
  readonly #updates = new Map<string, Node>();
  readonly #layers = new Map<string, Layer>();
  readonly #producers = new Map<Node, string>();

  /** Whether training normalises with the running statistics, as inference does, and leaves them as they are. */
  readonly keepsStatistics: boolean;

  /** Prefix of the names of layers and weights; see `within`. */
  #scope = "";

  constructor(mode: "training" | "inference", { keepsStatistics = false } = {}) {
    this.mode = mode;
    this.keepsStatistics = keepsStatistics;
  }

  /** Builds a part under a prefix, so that the same layers elsewhere have other weights. */
  within<T>(scope: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${scope}/`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** The weight of this name, declared on its first use. */
  weight(plainName: string, shape: readonly number[], options: WeightOptions): Node {
    const name = this.#scope + plainName;
    const known = this.#weights.get(name);
    if (known !== undefined) {
      if (shapeText(known.declared.shape) === shapeText(shape)) return known.node;
      throw new FaceError(
        "SHAPE_MISMATCH",
        `${name} has shape ${shapeText(known.declared.shape)} and cannot be shared as ${shapeText(shape)}`,
      );
    }
    const { initializer, fans = fansOf(shape), trainable = true, decays = false } = options;
    const node = parameter(name, shape);
    this.#weights.set(name, { declared: { name, shape, initializer, fans, trainable, decays }, node });
    return node;
  }

  /** The value of a weight after the updates so far; each use of a layer updates its running statistics. */
  currentValue(plainName: string): Node {
    const name = this.#scope + plainName;
    return this.#updates.get(name) ?? this.nodeOf(name);
  }

  /** Sets the value of a weight after the step. */
  update(name: string, value: Node): void {
    this.#updates.set(this.#scope + name, value);
  }

  /** Records a layer on its first use; returns its output. */
  record(plainName: string, kind: string, inputs: readonly Node[], output: Node): Node {
    const name = this.#scope + plainName;
    if (!this.#layers.has(name)) {
      this.#layers.set(name, {
        name,
        kind,
        outputShape: output.shape,
        weights: this.weights.filter((weight) => weight.name.startsWith(`${name}/`)),
        inputs: inputs.map((input) => this.#producers.get(input) ?? "input"),
      });
    }
    this.#producers.set(output, name);
    return output;
  }

  get layers(): readonly Layer[] {
    return [...this.#layers.values()];
  }

  get weights(): readonly Weight[] {
    return [...this.#weights.values()].map(({ declared }) => declared);
  }

  get updates(): ReadonlyMap<string, Node> {
    return this.#updates;
  }

  nodeOf(name: string): Node {
    const known = this.#weights.get(name);
    if (known === undefined) throw new FaceError("INTERNAL", `internal: no weight is called ${name}`);
    return known.node;
  }
}

/** Draws all initial weights, each from a random stream of its own, so that further layers do not change them. */
export function initialWeights(weights: readonly Weight[], random: Random): Map<string, Tensor> {
  return new Map(
    weights.map(({ name, shape, initializer, fans }) => [
      name,
      initializer(shape, random.fork("weight", name), fans),
    ]),
  );
}

/** Number of parameters. */
export const countValues = (weights: readonly Weight[]): number =>
  weights.reduce((count, { shape }) => count + sizeOf(shape), 0);
