/** @file Embeddings as files for other programs: Parquet, NumPy's .npy, lines of JSON; the only door to hyparquet-writer. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import type { Box, FaceQuality } from "../faces/face.ts";
import { csvLine } from "./csv.ts";

/** The face of one photograph. */
export interface EmbeddedPhoto {
  /** Relative to the folder that was embedded. */
  readonly path: string;
  /** The folder below that; null for a photograph beside the folders. */
  readonly person: string | null;
  /** Left, top, width and height in pixels of the upright photograph. */
  readonly box: Box;
  readonly score: number;
  readonly quality: FaceQuality;
  readonly warnings: readonly string[];
  readonly embedding: Float32Array;
}

/** The model of all rows. */
export interface EmbeddingModel {
  readonly model: string;
  /** SHA-256 of the network's file. */
  readonly digest: string;
  /** Numbers of an embedding. */
  readonly size: number;
}

type Write = (
  output: string,
  rows: readonly EmbeddedPhoto[],
  model: EmbeddingModel,
) => Promise<readonly string[]>;

const QUALITIES = [
  "score",
  "eyeDistance",
  "yaw",
  "pitch",
  "roll",
  "sharpness",
  "brightness",
  "contrast",
  "inside",
] as const satisfies readonly (keyof FaceQuality)[];

const text = (name: string, isOptional = false) =>
  ({
    name,
    type: "BYTE_ARRAY",
    converted_type: "UTF8",
    repetition_type: isOptional ? "OPTIONAL" : "REQUIRED",
  }) as const;
const number = (name: string) => ({ name, type: "DOUBLE", repetition_type: "REQUIRED" }) as const;
/** A list without empty places, in the three levels that Parquet's specification prescribes. */
const list = (name: string, type: "DOUBLE" | "FLOAT") =>
  [
    { name, repetition_type: "REQUIRED", num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", type, repetition_type: "REQUIRED" },
  ] as const;

async function writeParquet(
  output: string,
  rows: readonly EmbeddedPhoto[],
  { model, digest }: EmbeddingModel,
): Promise<readonly string[]> {
  const columns = {
    path: rows.map(({ path }) => path),
    person: rows.map(({ person }) => person),
    box: rows.map(({ box }) => [...box]),
    score: rows.map(({ score }) => score),
    quality: rows.map(({ quality }) => ({ ...quality })),
    embedding: rows.map(({ embedding }) => [...embedding]),
    model: rows.map(() => model),
    digest: rows.map(() => digest),
  };
  const file = parquetWriteBuffer({
    schema: [
      { name: "faces", num_children: Object.keys(columns).length },
      text("path"),
      text("person", true),
      ...list("box", "DOUBLE"),
      number("score"),
      { name: "quality", repetition_type: "REQUIRED", num_children: QUALITIES.length },
      ...QUALITIES.map(number),
      ...list("embedding", "FLOAT"),
      text("model"),
      text("digest"),
    ],
    columnData: Object.entries(columns).map(([name, data]) => ({ name, data })),
    kvMetadata: [
      { key: "faceid.model", value: model },
      { key: "faceid.digest", value: digest },
    ],
  });
  await writeFileAtomic(output, new Uint8Array(file));
  return [output];
}

async function writeJsonLines(
  output: string,
  rows: readonly EmbeddedPhoto[],
  { model, digest }: EmbeddingModel,
): Promise<readonly string[]> {
  const lines = rows.map(({ embedding, warnings: _warnings, ...row }) =>
    Buffer.from(`${JSON.stringify({ ...row, embedding: [...embedding], model, digest })}\n`),
  );
  await writeFileAtomic(output, lines);
  return [output];
}

/** The header's length must make the data begin at a multiple of 64 bytes (NumPy's NEP 1). */
const NPY_ALIGNMENT = 64;
const NPY_PREFIX = 10;

/** The head of a version 1.0 file of little-endian float32 `[rows, size]`. */
function npyHead(rows: number, size: number): Buffer {
  const about = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${size}), }`;
  const whole = Math.ceil((NPY_PREFIX + about.length + 1) / NPY_ALIGNMENT) * NPY_ALIGNMENT;
  const head = Buffer.alloc(whole, " ");
  head.write("\x93NUMPY\x01\x00", 0, "latin1");
  head.writeUInt16LE(whole - NPY_PREFIX, 8);
  head.write(about, NPY_PREFIX, "latin1");
  head.write("\n", whole - 1, "latin1");
  return head;
}

/** The rows as NumPy reads them, and beside them a table that says whose they are, in the same order. */
async function writeNpy(
  output: string,
  rows: readonly EmbeddedPhoto[],
  { model, digest, size }: EmbeddingModel,
): Promise<readonly string[]> {
  const paths = output.replace(/\.npy$/i, ".paths.csv");
  const names = ["path", "person", "x", "y", "width", "height", "score"];
  const qualities = QUALITIES.filter((name) => name !== "score");
  const lines = rows.map(({ path, person, box, score, quality }) =>
    csvLine([path, person, ...box, score, ...qualities.map((name) => quality[name]), model, digest]),
  );
  await writeFileAtomic(
    paths,
    `${[csvLine([...names, ...qualities, "model", "digest"]), ...lines].join("\n")}\n`,
  );
  const values = rows.map(({ embedding }) => {
    const row = Buffer.alloc(embedding.length * 4);
    for (const [i, value] of embedding.entries()) row.writeFloatLE(value, i * 4);
    return row;
  });
  await writeFileAtomic(output, [npyHead(rows.length, size), ...values]);
  return [output, paths];
}

const FORMATS = { parquet: writeParquet, npy: writeNpy, jsonl: writeJsonLines } as const satisfies Readonly<
  Record<string, Write>
>;
export type EmbeddingFormat = keyof typeof FORMATS;

/**
 * The format that a file's name asks for.
 * @throws FaceError `CONFIG_INVALID` for any other ending.
 */
export function formatOf(output: string): EmbeddingFormat {
  const ending = output.toLowerCase().split(".").at(-1)!;
  const format = (Object.keys(FORMATS) as EmbeddingFormat[]).find((name) => name === ending);
  if (format !== undefined) return format;
  throw new FaceError(
    "CONFIG_INVALID",
    `\`output\`: got ${output}, expected a name ending in .parquet, .npy or .jsonl`,
  );
}

/** Writes the rows in their order; returns the files written, the output first. */
export async function writeEmbeddings(
  output: string,
  format: EmbeddingFormat,
  rows: readonly EmbeddedPhoto[],
  model: EmbeddingModel,
): Promise<string[]> {
  return [...(await FORMATS[format](output, rows, model))];
}
