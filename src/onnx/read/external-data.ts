/** @file Weights that a model keeps in files beside it: found within its folder, and read as far as its tensors say. */
import { type FileHandle, realpath } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, win32 } from "node:path";
import { FaceError, messageOf } from "../../base/errors.ts";
import { openRegular } from "../../base/files.ts";
import type { GraphProto, TensorProto } from "../../proto/onnx/onnx_pb.ts";
import { type ExternalData, isExternal, storageOf } from "./stored-tensor.ts";

/** Tensors may share data, but not so that a small folder fills all memory. */
const MOST_SHARED = 2;

interface Range {
  readonly stored: TensorProto;
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

function numberIn(text: string | undefined, place: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new FaceError("MODEL_INVALID", `${place} lies at ${text}, which is no place in a file`);
}

/** Refuses names that could lead out of the model's folder. */
function checkLocation(location: string, place: string): void {
  const parts = location.split(/[/\\]/);
  const leadsOut = isAbsolute(location) || win32.isAbsolute(location) || /^[a-z]:/i.test(location);
  if (location !== "" && !leadsOut && !parts.includes("..") && !location.includes("\0")) return;
  throw new FaceError(
    "MODEL_INVALID",
    `${place} is kept in ${JSON.stringify(location)}, outside of the model's folder`,
  );
}

function rangeOf(stored: TensorProto, what: string): Range {
  const place = `${what}: ${stored.name || "a tensor"}`;
  const entries = new Map(stored.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location") ?? "";
  checkLocation(location, place);
  const { bytes } = storageOf(stored, place);
  const [offset, length] = [numberIn(entries.get("offset"), place), numberIn(entries.get("length"), place)];
  if (length !== undefined && length !== bytes)
    throw new FaceError(
      "MODEL_INVALID",
      `${place} takes ${bytes} bytes, ${location} is said to hold ${length}`,
    );
  return { stored, location, offset: offset ?? 0, bytes };
}

/** The file itself, which must lie where the model does, links followed; or beside the file that the model links to. */
async function pathOf(location: string, model: string, what: string): Promise<string> {
  try {
    const path = await realpath(join(dirname(model), location));
    const folders = [await realpath(dirname(model)), dirname(await realpath(model))];
    const isInside = folders.some((folder) => {
      const way = relative(folder, path);
      return way !== "" && !way.startsWith("..") && !isAbsolute(way);
    });
    if (isInside) return path;
  } catch (error) {
    throw new FaceError(
      "MODEL_INVALID",
      `${what}: cannot read its weights in ${location}: ${messageOf(error)}`,
      { hint: "keep the model's files together, as they were exported", cause: error },
    );
  }
  throw new FaceError("MODEL_INVALID", `${what}: ${location} links to a file outside of the model's folder`);
}

async function readRange(
  file: FileHandle,
  { stored, location, offset, bytes }: Range,
  size: number,
  what: string,
) {
  if (offset + bytes > size)
    throw new FaceError(
      "MODEL_INVALID",
      `${what}: ${stored.name} needs ${bytes} bytes from ${offset} on of ${location}, which holds ${size}`,
      { hint: "copy the model's files again" },
    );
  const data = new Uint8Array(bytes);
  for (let done = 0; done < bytes; ) {
    const { bytesRead } = await file.read(data, done, bytes - done, offset + done);
    if (bytesRead === 0)
      throw new FaceError("MODEL_INVALID", `${what}: ${location} became shorter while it was read`);
    done += bytesRead;
  }
  return data;
}

/** All tensors that lie in one file. */
async function readFrom(location: string, ranges: readonly Range[], model: string, what: string) {
  const path = await pathOf(location, model, what);
  const { file, size } = await openRegular(path).catch((error: unknown) => {
    throw new FaceError("MODEL_INVALID", `${what}: ${messageOf(error)}`, { cause: error });
  });
  try {
    const total = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total > MOST_SHARED * size)
      throw new FaceError(
        "MODEL_INVALID",
        `${what} takes ${total} bytes out of ${location}, which holds ${size}`,
      );
    const read: [TensorProto, Uint8Array][] = [];
    for (const range of ranges) read.push([range.stored, await readRange(file, range, size, what)]);
    return read;
  } finally {
    await file.close();
  }
}

/**
 * Reads what a graph keeps in other files.
 * @param model the model's path
 * @throws FaceError `MODEL_INVALID` for places outside of the model's folder, missing files and ranges that they do not hold.
 */
export async function readExternal(graph: GraphProto, model: string, what: string): Promise<ExternalData> {
  const attributes = graph.node.flatMap(({ attribute }) =>
    attribute.flatMap(({ t }) => (t === undefined ? [] : [t])),
  );
  const ranges = [...graph.initializer, ...attributes]
    .filter(isExternal)
    .map((stored) => rangeOf(stored, what));
  const result = new Map<TensorProto, Uint8Array>();
  for (const location of new Set(ranges.map((range) => range.location))) {
    const here = ranges.filter((range) => range.location === location);
    for (const [stored, data] of await readFrom(location, here, model, what)) result.set(stored, data);
  }
  return result;
}
