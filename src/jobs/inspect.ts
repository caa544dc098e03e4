/** @file Lists what SavedModels and ONNX files contain: signatures, operations, parameters. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { modelFileIn, versionsIn } from "../artifact/files.ts";
import { type FoundModel, findModel } from "../artifact/find-model.ts";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { checkPath } from "../base/check-options.ts";
import { onnxImporters } from "../onnx/read/from-onnx.ts";
import { readOnnxFile } from "../onnx/runtime/model-file.ts";
import type { ModelReport, SignatureReport } from "../savedmodel/inspect.ts";
import { inspectSavedModel, signatureReport } from "../savedmodel/inspect.ts";
import { onnxSignature } from "../serving/engine/onnx-servable.ts";

/** The content of an ONNX file as plain data. */
export interface OnnxReport {
  readonly format: "onnx";
  readonly file: string;
  readonly bytes: number;
  /** Program that wrote the file, with its version; empty when it does not say. */
  readonly producer: string;
  readonly irVersion: number;
  /** Operator set of each domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** The one signature under which the file is served. */
  readonly signatures: readonly SignatureReport[];
  /** Operators with how often they occur, most frequent first, bodies of loops and branches included. */
  readonly operations: readonly {
    readonly name: string;
    readonly count: number;
    /** Whether it can be read into a graph, to be converted; the engine runs more of them. */
    readonly supported: boolean;
  }[];
  /** Numbers in stored tensors of four elements or more. */
  readonly parameters: number;
}

/** Describes an ONNX file without running it. */
async function inspectOnnx(file: string): Promise<OnnxReport> {
  const { bytes, model } = await readOnnxFile(file, { mayBeExternal: true });
  const inputs = model.inputs.filter(({ name }) => model.usedInputs.has(name));
  return {
    format: "onnx",
    file,
    bytes: bytes.length,
    producer: model.producer,
    irVersion: model.irVersion,
    opsets: Object.fromEntries(model.opsets),
    signatures: [signatureReport(DEFAULT_SIGNATURE, onnxSignature({ ...model, inputs }))],
    operations: [...model.operations]
      .map(([name, count]) => ({ name, count, supported: Object.hasOwn(onnxImporters, name) }))
      .toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)),
    parameters: model.parameters,
  };
}

/** The models behind a path: the one that it means, or each of the versions in a folder. */
async function modelsAt(path: string): Promise<FoundModel[]> {
  const names = await readdir(path).catch((): string[] => []);
  const versions = modelFileIn(names) === undefined ? versionsIn(names) : [];
  const places = versions.length === 0 ? [path] : versions.map((version) => join(path, version));
  return await Promise.all(places.map(findModel));
}

/**
 * Describes a model without running it, with one report for each version.
 * @param path a version's folder, the folder of all versions, a `saved_model.pb` or an ONNX file.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function inspectModels(path: string): Promise<(ModelReport | OnnxReport)[]> {
  checkPath("inspectModels, the path", path);
  const reports: (ModelReport | OnnxReport)[] = [];
  for (const { format, file, folder } of await modelsAt(path))
    reports.push(await (format === "savedmodel" ? inspectSavedModel(folder, file) : inspectOnnx(file)));
  return reports;
}
