/** @file What a file is, by its content: a model that can be read, or one of those that people take for one. */
import type { FileHandle } from "node:fs/promises";
import type { ErrorCode } from "../base/errors.ts";
import { openRegular } from "../base/files.ts";

/** Models that are read as they are. */
export type ModelFormat = "savedmodel" | "onnx";

/** A file of another kind, for an error. */
export interface OtherFile {
  readonly code: Extract<ErrorCode, "MODEL_INVALID" | "MODEL_UNSUPPORTED">;
  /** What it is, to follow the path and "is". */
  readonly is: string;
  /** What to do. */
  readonly hint: string;
}

const UNPACK = "unpack it, and name the version's folder inside";
const EXPORT_ONNX = "export it to ONNX where it was made";

const unsupported = (is: string, hint: string): OtherFile => ({ code: "MODEL_UNSUPPORTED", is, hint });
const invalid = (is: string, hint: string): OtherFile => ({ code: "MODEL_INVALID", is, hint });

const KERAS = 'in Python: keras.models.load_model("FILE").export("FOLDER/1"), then name FOLDER/1';
const HDF5 = unsupported("a Keras model in HDF5 (.h5), or weights alone", KERAS);
const KERAS_ZIP = unsupported("a Keras model (.keras)", KERAS);
const PYTORCH = unsupported(
  "a PyTorch file (.pt, .pth), or another pickle of Python",
  'in Python: torch.onnx.export(model, example, "FILE.onnx"), then name FILE.onnx; weights alone need the model\'s code first',
);
const TFLITE = unsupported(
  "a TensorFlow Lite model (.tflite)",
  "name the SavedModel that it was converted from, or convert it to ONNX with tf2onnx --tflite",
);
const GRAPH_DEF = unsupported(
  "a frozen GraphDef of TensorFlow 1 (.pb), without signatures",
  "in Python: tf2onnx.convert --graphdef FILE --inputs … --outputs … --output FILE.onnx, or write it as a SavedModel with signatures",
);
const META_GRAPH = unsupported(
  "the graph of a TensorFlow 1 checkpoint (.meta)",
  "in Python: restore it with tf.compat.v1.train.import_meta_graph and write it with tf.compat.v1.saved_model.simple_save",
);
const TEXT_MODEL = unsupported(
  "a model in text form (.pbtxt)",
  "in Python: load it with tf.saved_model.load and write it with tf.saved_model.save, which writes saved_model.pb",
);
const SAFETENSORS = invalid(
  "a safetensors file: weights without a graph",
  "a run's checkpoint is exported by `faceid export`; for other weights name the SavedModel or ONNX file",
);
const TF1_CHECKPOINT: OtherFile = unsupported(
  "a TensorFlow checkpoint: weights without signatures",
  "in Python: restore it and write it with tf.saved_model.save, then name the folder that it wrote",
);

/** Kinds by the bytes, as Latin-1 text, at a place near the start. */
const STARTS: readonly (readonly [at: number, mark: string | RegExp, kind: OtherFile])[] = [
  [0, "\x89HDF\r\n\x1a\n", HDF5],
  [4, "TFL3", TFLITE],
  // The protocols of Python's pickle.
  ...["\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"].map((mark) => [0, mark, PYTORCH] as const),
  [0, "\x1f\x8b", invalid("a gzip archive", UNPACK)],
  [257, "ustar", invalid("a tar archive", UNPACK)],
  [0, "BZh", invalid("a bzip2 archive", UNPACK)],
  [0, "\xfd7zXZ\0", invalid("an xz archive", UNPACK)],
  [0, "\x28\xb5\x2f\xfd", invalid("a Zstandard archive", UNPACK)],
  [0, "7z\xbc\xaf\x27\x1c", invalid("a 7-Zip archive", UNPACK)],
  [0, "Rar!", invalid("a RAR archive", UNPACK)],
  [
    0,
    /^version https:\/\/(?:git-lfs|hawser)\./,
    invalid("a pointer of Git LFS, without the file's content", "run `git lfs pull` in its repository"),
  ],
  [
    0,
    /^\/?(?:\.\.?\/)*(?:\.git\/)?annex\/objects\//,
    invalid("a pointer of git-annex, without the file's content", "run `git annex get` in its repository"),
  ],
  [
    0,
    /^\W*<(?:!doctype html|html|head|body)/i,
    invalid("a web page, saved in place of the file", "download the file itself, not the page that shows it"),
  ],
  [0, /^\s*<\?xml/i, invalid("an XML document", EXPORT_ONNX)],
  [0, /^(?:saved_model_schema_version|meta_graphs)\b/, TEXT_MODEL],
  [0, /^(?:node|versions|library)\s*\{/, TEXT_MODEL],
  [
    0,
    /^\s*[{[]\s*["{[\]}]/,
    invalid("JSON, such as an error of the server that it came from", "download it again"),
  ],
  [0, "\x93NUMPY", invalid("a NumPy array", EXPORT_ONNX)],
  [0, /^(?:\xff\xd8\xff|\x89PNG|GIF8|RIFF)/, invalid("an image", "name a model")],
  [6, '\0\0{"', SAFETENSORS],
];

/** What a zip archive is, by the names of its files. */
const ZIPPED: readonly (readonly [name: RegExp, kind: OtherFile])[] = [
  [/model\.weights\.h5|config\.json/, KERAS_ZIP],
  [/(?:^|\/)data\.pkl|constants\.pkl/, PYTORCH],
  [/\.npy/, invalid("a NumPy archive (.npz)", EXPORT_ONNX)],
  [/saved_model\.pb|\.onnx/, invalid("a zip archive of a model", UNPACK)],
];
/** What it is by its own name, where those of its files say nothing. */
const BY_ENDING: readonly (readonly [ending: RegExp, kind: OtherFile])[] = [
  [/\.keras$/i, KERAS_ZIP],
  [/\.pth?$|\.ckpt$|\.bin$/i, PYTORCH],
];
/** Of a zip archive, the end is read, which lists its files. */
const ZIP_DIRECTORY_BYTES = 65_536;
const HEAD_BYTES = 512;

async function bytesAt(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
  return buffer.subarray(0, bytesRead);
}

async function zipKind(file: FileHandle, size: number, path: string): Promise<OtherFile> {
  const end = await bytesAt(file, Math.max(0, size - ZIP_DIRECTORY_BYTES), ZIP_DIRECTORY_BYTES);
  const names = end.toString("latin1");
  const known = ZIPPED.find(([name]) => name.test(names)) ?? BY_ENDING.find(([ending]) => ending.test(path));
  return known?.[1] ?? invalid("a zip archive", UNPACK);
}

/** A field of a protocol buffer, its content left out. */
interface Field {
  readonly number: number;
  /** Of a number its value, otherwise `undefined`. */
  readonly value: number | undefined;
}

/** Fields looked at, which tell the kinds of message apart. */
const MOST_FIELDS = 8;
const LONGEST_VARINT = 10;

function varint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let i = 0; i < LONGEST_VARINT; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return undefined;
}

/** The first fields of a protocol buffer, by skipping their content; empty for a file that is none. */
async function firstFields(file: FileHandle, size: number): Promise<readonly Field[]> {
  const fields: Field[] = [];
  let at = 0;
  while (at < size && fields.length < MOST_FIELDS) {
    const bytes = await bytesAt(file, at, 2 * LONGEST_VARINT);
    const tag = varint(bytes, 0);
    const next = tag && varint(bytes, tag.end);
    if (tag === undefined || next === undefined) return [];
    const [number, wireType] = [tag.value >>> 3, tag.value & 7];
    if (number === 0 || (wireType !== 0 && wireType !== 2)) return [];
    fields.push({ number, value: wireType === 0 ? next.value : undefined });
    at += next.end + (wireType === 0 ? 0 : next.value);
  }
  return fields;
}

/** The number of the graph in an ONNX file. */
const ONNX_GRAPH = 7;

/** The message that a protocol buffer is, by its first fields. */
function messageKind(fields: readonly Field[], name: string): ModelFormat | OtherFile | undefined {
  const [first, second] = fields;
  // SavedModel: its schema's version, which is 1, then graphs. ONNX: the version of its form, its maker …, its graph.
  if (first?.number === 1 && first.value === 1 && second?.number === 2) return "savedmodel";
  if (fields.some(({ number, value }) => number === ONNX_GRAPH && value === undefined)) return "onnx";
  if (first?.number !== 1 || first.value !== undefined) return undefined;
  if (/\.meta$/i.test(name)) return META_GRAPH;
  // A graph's first field is repeated for each node.
  return second?.number === 1 ? GRAPH_DEF : undefined;
}

/**
 * What a file is, by its content and, for what has no mark, by its name.
 * @returns a format that can be read, another kind, or `undefined` for content of no known kind, such as a damaged file's.
 * @throws the file system's error when it cannot be read.
 */
export async function recognise(path: string): Promise<ModelFormat | OtherFile | undefined> {
  const { file, size } = await openRegular(path);
  try {
    if (size === 0) return invalid("empty", "copy it again");
    const start = (await bytesAt(file, 0, HEAD_BYTES)).toString("latin1");
    if (start.startsWith("PK\x03\x04")) return await zipKind(file, size, path);
    const known = STARTS.find(([at, mark]) =>
      typeof mark === "string" ? start.startsWith(mark, at) : mark.test(start),
    );
    if (known !== undefined) return known[2];
    if (/\.index$|\.data-\d+-of-\d+$|(?:^|[/\\])checkpoint$/.test(path)) return TF1_CHECKPOINT;
    return messageKind(await firstFields(file, size), path);
  } finally {
    await file.close();
  }
}
