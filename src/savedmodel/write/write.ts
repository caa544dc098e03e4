/** @file Writes a frozen SavedModel: one file with graph, weights and signatures. */
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { SAVED_MODEL_FILE } from "../../artifact/files.ts";
import type { WeightType } from "../../artifact/weights.ts";
import { FaceError } from "../../base/errors.ts";
import { makeFolder, publishFolder } from "../../base/files.ts";
import { VERSION } from "../../base/platform.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { check } from "../../graph/check.ts";
import { freeze } from "../../graph/freeze.ts";
import { isOp, type Node, topological } from "../../graph/ops.ts";
import { simplify } from "../../graph/simplify.ts";
import type { SavedModel, SignatureDef } from "../../proto/tensorflow/graph_pb.ts";
import { SavedModelSchema, SignatureDefSchema } from "../../proto/tensorflow/graph_pb.ts";
import { type DecodedSize, writeDecodeLoop } from "../decode-loop.ts";
import { dataTypeOf } from "../format/tensor-proto.ts";
import { PREDICT_METHOD } from "../signature.ts";
import { attr, GraphWriter, shapeProto } from "./graph-writer.ts";
import { writeGraph } from "./to-tensorflow.ts";

/** A way to call the model: its inputs and outputs by the names that callers use. */
export interface SignatureGraph {
  readonly inputs: Readonly<Record<string, Node>>;
  readonly outputs: Readonly<Record<string, Node>>;
  /**
   * Callers send JPEG or PNG files of any size, `[batch]` strings, in place of each input, which must be a batch of RGB
   * images; the graph decodes and resizes them itself.
   */
  readonly decodesImages?: boolean;
}

export interface SavedModelContent {
  readonly signatures: Readonly<Record<string, SignatureGraph>>;
  /** Values of the graph's parameters. */
  readonly parameters: TensorMap;
  /** Further files, by their path within the version's folder, such as `assets.extra/faceid.json`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** What constants of 256 numbers or more are stored as; smaller ones stay as they are. Default `float32`. */
  readonly weights?: WeightType | undefined;
}

const TENSORFLOW_VERSION = "2.14.0";
const SERVE_TAG = "serve";

/** The signatures with weights as constants, simplified together so that they share nodes. */
function frozen(
  signatures: SavedModelContent["signatures"],
  parameters: TensorMap,
): Record<string, SignatureGraph> {
  const outputs = Object.values(signatures).flatMap((signature) => Object.values(signature.outputs));
  const results = simplify(freeze(outputs, parameters));
  check(results);
  const inputs = new Map(
    topological(results).flatMap((node) => (isOp(node, "input") ? [[node.attrs.name, node]] : [])),
  );
  let next = 0;
  return Object.fromEntries(
    Object.entries(signatures).map(([name, signature]) => {
      const ports = Object.entries(signature.inputs).map(([alias, node]) => [
        alias,
        isOp(node, "input") ? (inputs.get(node.attrs.name) ?? node) : node,
      ]);
      const ends = Object.keys(signature.outputs).map((alias) => [alias, results[next++]!]);
      return [name, { ...signature, inputs: Object.fromEntries(ports), outputs: Object.fromEntries(ends) }];
    }),
  );
}

const tensorInfo = (name: string, { dtype, shape }: Pick<Node, "dtype" | "shape">) => ({
  encoding: { case: "name" as const, value: `${name}:0` },
  dtype: dataTypeOf(dtype),
  tensorShape: shapeProto(shape),
});

/** Any number of image files. */
const FILES = { dtype: "string", shape: ["batch"] } as const;

/** The size of the images that an input takes. */
function decodedSize(alias: string, { shape, dtype }: Node): DecodedSize {
  const [, height, width, channels] = shape;
  if (
    dtype !== "float32" ||
    shape.length !== 4 ||
    channels !== 3 ||
    typeof height !== "number" ||
    typeof width !== "number"
  ) {
    throw new FaceError("INTERNAL", `internal: ${alias} takes no RGB images of one size`);
  }
  return { height, width };
}

/** Placeholders for files in place of a signature's images, and the values decoded from them. */
interface FilePorts {
  /** Names of the placeholders by alias. */
  readonly files: ReadonlyMap<string, string>;
  readonly images: ReadonlyMap<Node, string>;
}

function writeFilePorts({ inputs }: SignatureGraph, graph: GraphWriter): FilePorts {
  const ports = Object.entries(inputs).map(([alias, node]) => {
    const attributes = { dtype: attr.type(FILES.dtype), shape: attr.shape(FILES.shape) };
    const files = graph.named(alias, "Placeholder", [], attributes);
    return { alias, node, files, images: writeDecodeLoop(graph, files, decodedSize(alias, node)) };
  });
  return {
    files: new Map(ports.map(({ alias, files }) => [alias, files])),
    images: new Map(ports.map(({ node, images }) => [node, images])),
  };
}

/** Builds the model in memory. */
export function buildSavedModel({ signatures, parameters, weights }: SavedModelContent): SavedModel {
  const graph = new GraphWriter(weights);
  const ready = frozen(signatures, parameters);
  const filePorts = new Map(
    Object.entries(ready)
      .filter(([, { decodesImages }]) => decodesImages)
      .map(([name, signature]) => [name, writeFilePorts(signature, graph)]),
  );
  const decoded = new Map([...filePorts.values()].flatMap(({ images }) => [...images]));
  const nodes = Object.values(ready).flatMap(({ inputs, outputs }) => [
    ...Object.values(inputs),
    ...Object.values(outputs),
  ]);
  const names = writeGraph(nodes, graph, decoded);
  const signatureDef = Object.entries(ready).map(([name, { inputs, outputs }]): [string, SignatureDef] => {
    // Each output gets a node named after the signature, so that viewers show it.
    const ends = Object.entries(outputs).map(([alias, node]) => {
      const type = { T: attr.type(node.dtype) };
      return [alias, tensorInfo(graph.named(`${name}/${alias}`, "Identity", [names.get(node)!], type), node)];
    });
    const starts = Object.entries(inputs).map(([alias, node]) => {
      const files = filePorts.get(name)?.files.get(alias);
      return [alias, files === undefined ? tensorInfo(names.get(node)!, node) : tensorInfo(files, FILES)];
    });
    const ports = { inputs: Object.fromEntries(starts), outputs: Object.fromEntries(ends) };
    return [name, create(SignatureDefSchema, { ...ports, methodName: PREDICT_METHOD })];
  });
  return create(SavedModelSchema, {
    savedModelSchemaVersion: 1n,
    metaGraphs: [
      {
        metaInfoDef: {
          tags: [SERVE_TAG],
          tensorflowVersion: TENSORFLOW_VERSION,
          // TensorFlow writes its commit here; `faceid inspect` reads it.
          tensorflowGitVersion: `faceid ${VERSION}`,
          strippedDefaultAttrs: true,
        },
        graphDef: graph.graph(),
        signatureDef: Object.fromEntries(signatureDef),
      },
    ],
  });
}

/** Protobuf's own limit on one message. */
const LARGEST_MESSAGE = 2 ** 31 - 1;

/**
 * The content of `saved_model.pb`.
 * @throws FaceError `MODEL_UNSUPPORTED` for a model that cannot be written.
 */
export function savedModelBytes(content: SavedModelContent): Uint8Array {
  const bytes = toBinary(SavedModelSchema, buildSavedModel(content));
  if (bytes.length <= LARGEST_MESSAGE) return bytes;
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `the model takes ${bytes.length} bytes, a SavedModel with constants holds 2 GB at most`,
  );
}

/**
 * Writes a version's folder, whole or not at all.
 * @throws FaceError `FILE_INVALID` when it exists already, `DISK_FULL`, or `MODEL_UNSUPPORTED` for a model that cannot
 *   be written.
 */
export async function writeSavedModel(folder: string, content: SavedModelContent): Promise<void> {
  const bytes = savedModelBytes(content);
  await publishFolder(folder, async (temporary) => {
    await writeFile(join(temporary, SAVED_MODEL_FILE), bytes);
    for (const [path, data] of Object.entries(content.files ?? {})) {
      await makeFolder(dirname(join(temporary, path)));
      await writeFile(join(temporary, path), data);
    }
  });
}
