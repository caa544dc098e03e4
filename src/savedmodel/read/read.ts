/** @file Reads a SavedModel folder: its signatures and the graph behind each. The room `savedmodel/` reads and writes
 * TensorFlow's SavedModels (`read/`, `write/`) and their files (`format/`). It knows `graph/`, `proto/` and `base/`.
 */
import { join, normalize } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { SAVED_MODEL_FILE } from "../../artifact/files.ts";
import { findModel } from "../../artifact/find-model.ts";
import { FaceError } from "../../base/errors.ts";
import { readRegular } from "../../base/files.ts";
import {
  type GraphDef,
  type MetaGraphDef,
  type SavedModel,
  SavedModelSchema,
  type SignatureDef,
  type TensorInfo,
} from "../../proto/tensorflow/graph_pb.ts";
import { dtypeOf, storedTensor } from "../format/tensor-proto.ts";
import type { Signature, SignatureTensor } from "../signature.ts";
import { importSignature, type ReadValues, type SignatureProgram, sliceOf } from "./import-graph.ts";
import { Tables } from "./tables.ts";
import { Variables } from "./variables.ts";

export type { SignatureProgram } from "./import-graph.ts";

/** The pseudo-signature under which TensorFlow 2 keeps its initialiser. */
const INIT_SIGNATURE = "__saved_model_init_op";
/** Largest default value of an optional input, in bytes. */
const LARGEST_DEFAULT = 2 ** 28;
/** Protobuf's own limit on one message. */
const LARGEST_MESSAGE = 2 ** 31 - 1;

/** A model of any format that can be called and written again. */
export interface CallableModel {
  /** What can be called. */
  readonly signatures: ReadonlyMap<string, Signature>;
  /**
   * The graph behind a signature, read when asked for.
   * @param as the same signature for other shapes, or for other places to feed
   * @throws FaceError `MODEL_UNSUPPORTED` naming every operation that cannot be read, or `MODEL_INVALID`.
   */
  program(name: string, as?: Signature): Promise<SignatureProgram>;
  /** TensorFlow's graph, where the model comes from TensorFlow. */
  readonly graph?: GraphDef;
}

/** A SavedModel that has been read. */
export interface ReadModel extends CallableModel {
  /** The signatures as the file has them, the initialiser included, for metadata requests. */
  readonly signatureDefs: { readonly [name: string]: SignatureDef };
  readonly tags: readonly string[];
  readonly tensorflowVersion: string;
  /** TensorFlow's commit, or `faceid` with its version. */
  readonly gitVersion: string;
  readonly graph: GraphDef;
  readonly variables: Variables;
}

const readBytes = (path: string): Promise<Uint8Array> => readRegular(path, LARGEST_MESSAGE);

function parse(bytes: Uint8Array, folder: string): SavedModel {
  try {
    return fromBinary(SavedModelSchema, bytes);
  } catch (error) {
    throw new FaceError(
      "MODEL_INVALID",
      `${join(folder, SAVED_MODEL_FILE)} is damaged or cut off: it cannot be read as TensorFlow writes it`,
      { hint: "copy it again; perhaps it is still being copied", cause: error },
    );
  }
}

/** The meta graph whose tags are just the wanted ones. */
function metaGraph(model: SavedModel, tags: readonly string[]): MetaGraphDef {
  const wanted = [...tags].sort().join(",");
  const found = model.metaGraphs.find(
    (graph) => [...(graph.metaInfoDef?.tags ?? [])].sort().join(",") === wanted,
  );
  if (found !== undefined) return found;
  const there = model.metaGraphs
    .map((graph) => `{ ${(graph.metaInfoDef?.tags ?? []).join(", ")} }`)
    .join(" ");
  throw new FaceError(
    "MODEL_NOT_FOUND",
    `Could not find meta graph def matching supplied tags: { ${tags.join(" ")} }, there are ${there || "none"}`,
  );
}

function signatureTensor(info: TensorInfo, place: string): SignatureTensor {
  const dtype = dtypeOf(info.dtype);
  if (info.encoding.case !== "name" || dtype === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `${place} is not a dense tensor of a supported type`);
  }
  const shape = info.tensorShape;
  const sides =
    shape === undefined || shape.unknownRank ? undefined : shape.dim.map(({ size }) => Number(size));
  return { tensorName: info.encoding.value, dtype, shape: sides };
}

function signatureOf(name: string, def: SignatureDef): Signature {
  const ports = (kind: "inputs" | "outputs") =>
    new Map(
      Object.entries(def[kind]).map(([alias, info]) => [alias, signatureTensor(info, `${name}'s ${alias}`)]),
    );
  const defaults = new Map(
    Object.entries(def.defaults).map(([alias, value]) => [
      alias,
      storedTensor(value, `${name}'s default for ${alias}`, { maxBytes: LARGEST_DEFAULT }),
    ]),
  );
  return { inputs: ports("inputs"), outputs: ports("outputs"), methodName: def.methodName, defaults };
}

/** The input that classify and regress feed with examples. */
const EXAMPLES = "inputs";

/**
 * A signature of examples as TensorFlow runs it: by what the placeholder takes, whatever the signature declares. Predict
 * alone compares the declared type.
 */
function withExamples(signature: Signature, graph: GraphDef): Signature {
  const declared = signature.inputs.get(EXAMPLES);
  if (declared === undefined || signature.inputs.size > 1 || declared.dtype === "string") return signature;
  const node = graph.node.find(({ name }) => `${name}:0` === declared.tensorName);
  const type = node?.op === "Placeholder" ? node.attr.dtype?.value : undefined;
  if (type?.case !== "type" || dtypeOf(type.value) !== "string") return signature;
  return { ...signature, inputs: new Map([[EXAMPLES, { ...declared, dtype: "string" as const }]]) };
}

/** Refuses asset files outside the model's folder. */
function checkAssets({ assetFileDef }: MetaGraphDef, folder: string): void {
  for (const { filename } of assetFileDef) {
    const path = normalize(join("assets", filename));
    if (filename !== "" && path.startsWith(normalize("assets/"))) continue;
    throw new FaceError(
      "MODEL_INVALID",
      `${join(folder, SAVED_MODEL_FILE)} names the asset ${filename}, outside of its folder`,
    );
  }
}

/**
 * Reads a SavedModel.
 * @param path a version's folder, or any that `findModel` takes
 * @param tags the meta graph to read; TensorFlow Serving's `serve` by default.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function readSavedModel(path: string, tags: readonly string[] = ["serve"]): Promise<ReadModel> {
  const { format, file, folder } = await findModel(path);
  if (format === "savedmodel") return parseSavedModel(await readBytes(file), folder, tags);
  throw new FaceError("MODEL_UNSUPPORTED", `${file} is an ONNX file, a SavedModel is wanted`, {
    hint: "convert it by `faceid convert --saved-model`",
  });
}

/**
 * Reads the content of a `saved_model.pb`.
 * @param folder where it lies, with its variables beside it
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export function parseSavedModel(
  bytes: Uint8Array,
  folder: string,
  tags: readonly string[] = ["serve"],
): ReadModel {
  const meta = metaGraph(parse(bytes, folder), tags);
  checkAssets(meta, folder);
  const graph = meta.graphDef;
  if (graph === undefined)
    throw new FaceError("MODEL_INVALID", `${join(folder, SAVED_MODEL_FILE)} holds no graph`);
  const signatures = new Map(
    Object.entries(meta.signatureDef)
      .filter(([name]) => name !== INIT_SIGNATURE)
      .map(([name, def]) => [name, withExamples(signatureOf(name, def), graph)]),
  );
  const variables = new Variables(folder, meta);
  const tables = new Tables(folder, meta);
  const read: ReadValues = {
    variables: (nodes) => variables.read(nodes),
    tables: (nodes) => tables.read(nodes),
  };
  let changed: ReadonlySet<string> | undefined;
  const changedVariables = () => {
    changed ??= new Set(
      [...signatures.values()].flatMap((signature) => [...sliceOf(graph, signature).assignments.keys()]),
    );
    return changed;
  };
  return {
    signatures,
    signatureDefs: meta.signatureDef,
    tags: meta.metaInfoDef?.tags ?? [],
    tensorflowVersion: meta.metaInfoDef?.tensorflowVersion ?? "",
    gitVersion: meta.metaInfoDef?.tensorflowGitVersion ?? "",
    graph,
    variables,
    async program(name, as = signatures.get(name)) {
      if (as === undefined) throw new FaceError("INTERNAL", `internal: there is no signature ${name}`);
      return importSignature(graph, name, as, read, changedVariables());
    },
  };
}
