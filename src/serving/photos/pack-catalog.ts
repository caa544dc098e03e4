/** @file A model pack as a model of the server, beside those that lie in folders. */
import type { CalibrationRecord } from "../../artifact/calibration.ts";
import type { ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { Servable } from "../engine/servable.ts";
import type { Catalog, Lease, ModelChoice, VersionStatus } from "../repository/catalog.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** A pack that is served without an export. */
export interface PackModel {
  /** Under which clients ask for it. */
  readonly name: string;
  /** Turns a cosine into a decision. */
  readonly calibration?: CalibrationRecord | undefined;
}

/** It answers whole photographs only: it has no signatures, so every run is refused before it gets here. */
export class PackServable implements Servable {
  readonly name: string;
  readonly version = 1n;
  readonly signatures = new Map();
  readonly signatureDefs = {};
  readonly calibration: CalibrationRecord | undefined;

  constructor({ name, calibration }: PackModel) {
    this.name = name;
    this.calibration = calibration;
  }

  async run(signatureName: string): Promise<never> {
    throw invalidArgument(`Serving signature name: "${signatureName}" not found in signature def`);
  }

  async close(): Promise<void> {}
}

/** Another catalogue and one model more, whose only version, 1, is always available and has no labels. */
export class PackCatalog implements Catalog {
  readonly #others: Catalog;
  readonly #servable: PackServable;

  constructor(others: Catalog, model: PackModel) {
    this.#others = others;
    this.#servable = new PackServable(model);
  }

  names(): readonly string[] {
    return [this.#servable.name, ...this.#others.names()];
  }

  versions(name: string): readonly VersionStatus[] {
    if (name !== this.#servable.name) return this.#others.versions(name);
    return [{ version: this.#servable.version, state: "AVAILABLE" }];
  }

  labels(name: string): ReadonlyMap<string, bigint> {
    return name === this.#servable.name ? new Map() : this.#others.labels(name);
  }

  acquire(choice: ModelChoice): Lease {
    const { name, version } = choice;
    if (name !== this.#servable.name) return this.#others.acquire(choice);
    if (version.by === "label")
      throw invalidArgument(`Unrecognized servable version label: ${version.label}`);
    if (version.by === "version" && version.version !== this.#servable.version) {
      throw new StatusError(
        "NOT_FOUND",
        `Servable not found for request: Specific(${name}, ${version.version})`,
      );
    }
    return { servable: this.#servable, [Symbol.dispose]: () => undefined };
  }

  configuration(): ModelServerConfig | undefined {
    return this.#others.configuration();
  }

  async reload(config: ModelServerConfig): Promise<void> {
    const { name } = this.#servable;
    if (config.config.value !== undefined && "config" in config.config.value) {
      if (config.config.value.config.some((model) => model.name === name)) {
        throw invalidArgument(`Model ${name} is a model pack of this server; choose another name`);
      }
    }
    await this.#others.reload(config);
  }
}
