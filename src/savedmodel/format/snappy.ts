/** @file Unpacks Snappy's raw format, an option of TensorFlow's table blocks; Node lacks it, and it takes 60 lines. */
import { ByteCursor } from "./byte-cursor.ts";

/** A copy of three bytes gives 64 at most, so no valid block grows by more than this. */
const LARGEST_RATIO = 64;

/** Kinds of elements, by the lowest two bits of their first byte. */
const LITERAL = 0;
const NEAR_COPY = 1;
const COPY_2 = 2;

/** Literals of up to this length minus one keep it in the first byte; longer ones take 1 to 4 more bytes. */
const SHORT_LITERAL = 60;

function littleEndian(cursor: ByteCursor, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) value += cursor.byte() * 2 ** (8 * i);
  return value;
}

/** Length and distance of the piece to be repeated. */
function copyOf(tag: number, cursor: ByteCursor): { length: number; distance: number } {
  if ((tag & 3) === NEAR_COPY) {
    return { length: 4 + ((tag >> 2) & 7), distance: ((tag >> 5) << 8) | cursor.byte() };
  }
  return { length: 1 + (tag >> 2), distance: littleEndian(cursor, (tag & 3) === COPY_2 ? 2 : 4) };
}

/**
 * Unpacks a block.
 * @param what the block's name, for errors
 * @throws FaceError `MODEL_INVALID` when it is damaged or claims an impossible length.
 */
export function unpackSnappy(packed: Uint8Array, what: string): Uint8Array {
  const cursor = new ByteCursor(packed, what);
  const size = cursor.varint();
  if (size > packed.length * LARGEST_RATIO)
    throw cursor.damaged(`${packed.length} bytes cannot unpack to ${size}`);
  const out = new Uint8Array(size);
  let at = 0;
  const room = (length: number) => {
    if (length > size - at) throw cursor.damaged("it unpacks to more than it claims");
  };
  while (cursor.left > 0) {
    const tag = cursor.byte();
    if ((tag & 3) === LITERAL) {
      const code = tag >> 2;
      const length = 1 + (code < SHORT_LITERAL ? code : littleEndian(cursor, code - SHORT_LITERAL + 1));
      room(length);
      out.set(cursor.take(length), at);
      at += length;
      continue;
    }
    const { length, distance } = copyOf(tag, cursor);
    if (distance === 0 || distance > at) throw cursor.damaged("it copies bytes from before its start");
    room(length);
    // Byte by byte, because source and target may overlap.
    for (const end = at + length; at < end; at++) out[at] = out[at - distance]!;
  }
  if (at !== size) throw cursor.damaged("it unpacks to less than it claims");
  return out;
}
