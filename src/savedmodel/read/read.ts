/** @file Reads a SavedModel folder: its signatures and the graph behind each. The room `savedmodel/` reads and writes
 * TensorFlow's SavedModels (`read/`, `write/`) and their files (`format/`). It knows `graph/`, `proto/` and `base/`.
 */
import { readdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { SAVED_MODEL_FILE } from "../../artifact/files.ts";
import { FaceError, messageOf } from "../../base/errors.ts";
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
import { importSignature, type SignatureProgram } from "./import-graph.ts";
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
  readonly graph: GraphDef;
  readonly variables: Variables;
}

/** Forms of the file that TensorFlow writes only when asked to, or for models beyond 2 GB. */
const OTHER_FORMS = ["saved_model.cpb", "saved_model.pbtxt"];

/** The error for a folder without a model that we can read. */
async function notFound(folder: string, error: unknown): Promise<FaceError> {
  const names = await readdir(folder).catch((): string[] => []);
  const other = OTHER_FORMS.find((name) => names.includes(name));
  if (other !== undefined) {
    return new FaceError(
      "MODEL_UNSUPPORTED",
      `${join(folder, other)}: this form of a SavedModel cannot be read`,
      {
        hint: `save the model as ${SAVED_MODEL_FILE}, below 2 GB`,
      },
    );
  }
  return new FaceError("MODEL_NOT_FOUND", `${folder} holds no SavedModel: ${messageOf(error)}`, {
    hint: `name a version's folder, the one with ${SAVED_MODEL_FILE} in it`,
    cause: error,
  });
}

async function readBytes(folder: string): Promise<Uint8Array> {
  const path = join(folder, SAVED_MODEL_FILE);
  try {
    return await readRegular(path, LARGEST_MESSAGE);
  } catch (error) {
    throw error instanceof FaceError ? error : await notFound(folder, error);
  }
}

function parse(bytes: Uint8Array, folder: string): SavedModel {
  try {
    return fromBinary(SavedModelSchema, bytes);
  } catch (error) {
    throw new FaceError(
      "MODEL_INVALID",
      `${join(folder, SAVED_MODEL_FILE)} is damaged: ${messageOf(error)}`,
      {
        cause: error,
      },
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
 * Reads a version's folder.
 * @param tags the meta graph to read; TensorFlow Serving's `serve` by default.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function readSavedModel(
  folder: string,
  tags: readonly string[] = ["serve"],
): Promise<ReadModel> {
  return parseSavedModel(await readBytes(folder), folder, tags);
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
      .map(([name, def]) => [name, signatureOf(name, def)]),
  );
  const variables = new Variables(folder, meta);
  return {
    signatures,
    signatureDefs: meta.signatureDef,
    tags: meta.metaInfoDef?.tags ?? [],
    tensorflowVersion: meta.metaInfoDef?.tensorflowVersion ?? "",
    graph,
    variables,
    async program(name, as = signatures.get(name)) {
      if (as === undefined) throw new FaceError("INTERNAL", `internal: there is no signature ${name}`);
      return importSignature(graph, name, as, (nodes) => variables.read(nodes));
    },
  };
}
