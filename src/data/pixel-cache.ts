/** @file Decoded pixels on disk, so that an image is decoded once and not in every epoch of every run. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { systemCacheFolder } from "../base/cache-folder.ts";
import { messageOf } from "../base/errors.ts";
import { type ImageSettings, imageSize, settingsText } from "../image/settings.ts";
import { DRAWING_VERSION } from "../synthetic/draw.ts";
import type { ImageRef } from "./identity.ts";

/** Raise when decoding or resizing changes, so that old pixels are not taken for new ones. */
const DECODING_VERSION = 1;

/** Images that share one place; within it any of them may be replaced, as in a processor's cache. */
const WAYS = 8;
/** Bytes of a key, and of the keys of one place. */
const KEY_BYTES = 8;
const LINE_BYTES = WAYS * KEY_BYTES;
/** Before the pixels of a slot: the key again, then the checksum of the pixels. */
const SLOT_HEADER_BYTES = KEY_BYTES + 4;

/** When a place is full, one newcomer in so many replaces an image there: a set that does not fit is not rewritten
 * in every epoch. */
const REPLACE_EVERY = 16;

const MEGABYTE = 2 ** 20;

/** Where decoded pixels are kept unless the user chooses another folder: the system's place for caches. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.FACEID_CACHE_DIR || systemCacheFolder(environment);
}

/** Size and time of a file; undefined when it cannot be looked at, which decoding will explain better. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The key of an image's pixels: a hash of all that they depend on. A changed file gets another key, a missing one none. */
function keyOf(image: ImageRef): Buffer | undefined {
  let source: string;
  if (image.kind === "file") {
    const stats = statsOf(image.path);
    if (stats === undefined) return undefined;
    source = `file ${DECODING_VERSION} ${stats.size} ${stats.mtimeMs} ${image.path}`;
  } else {
    const { seed, identity, number, difficulty } = image.photo;
    source = `drawn ${DRAWING_VERSION} ${seed} ${identity} ${number} ${difficulty}`;
  }
  const key = createHash("sha1").update(source).digest().subarray(0, KEY_BYTES);
  // All zeros means an empty slot.
  key[0] ||= 1;
  return key;
}

/**
 * One file for one image size, shared by all datasets, runs and threads: a table of keys, then as many slots. Every slot
 * carries its key and a checksum, so whatever another process or a crash leaves behind is at worst decoded again.
 */
export class PixelCache implements Disposable {
  readonly #file: number;
  readonly #slotBytes: number;
  /** Number of places; each has WAYS slots. */
  readonly #places: number;
  readonly #line = Buffer.alloc(LINE_BYTES);
  #refused = 0;
  /** Why nothing is written any more, for instance a full disk. */
  failure: string | undefined;

  /**
   * Opens the cache, or makes it. Where the file system allows it, the file takes space only as it is filled.
   * @param megabytes of space at most
   * @throws the system's error when the folder cannot be written to
   */
  constructor(folder: string, settings: ImageSettings, megabytes: number) {
    this.#slotBytes = SLOT_HEADER_BYTES + imageSize(settings);
    const slots = Math.floor((megabytes * MEGABYTE) / (this.#slotBytes + KEY_BYTES));
    this.#places = Math.max(1, Math.floor(slots / WAYS));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `pixels-${settingsText(settings)}-${this.#places * WAYS}.bin`);
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  }

  /**
   * The image's pixels, or what `decode` makes of it, which is then kept.
   * @throws whatever `decode` throws
   */
  async pixels(image: ImageRef, decode: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const key = keyOf(image);
    if (key === undefined) return decode();
    const known = this.#read(key);
    if (known !== undefined) return known;
    const pixels = await decode();
    if (this.failure === undefined) this.#write(key, pixels);
    return pixels;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #placeOf(key: Buffer): number {
    return key.readUInt32LE(0) % this.#places;
  }

  #slotStart(place: number, way: number): number {
    return this.#places * LINE_BYTES + (place * WAYS + way) * this.#slotBytes;
  }

  /** Reads the keys of a place; missing ones, beyond the end of the file, are zeros. */
  #readLine(place: number): Buffer {
    const line = this.#line;
    const length = readSync(this.#file, line, 0, LINE_BYTES, place * LINE_BYTES);
    return length === LINE_BYTES ? line : line.fill(0, length);
  }

  #read(key: Buffer): Uint8Array | undefined {
    const place = this.#placeOf(key);
    const way = wayOf(this.#readLine(place), key);
    if (way < 0) return undefined;
    const slot = Buffer.allocUnsafeSlow(this.#slotBytes);
    const length = readSync(this.#file, slot, 0, this.#slotBytes, this.#slotStart(place, way));
    const pixels = slot.subarray(SLOT_HEADER_BYTES);
    const whole =
      length === this.#slotBytes &&
      slot.subarray(0, KEY_BYTES).equals(key) &&
      slot.readUInt32LE(KEY_BYTES) === crc32(pixels);
    return whole ? pixels : undefined;
  }

  #write(key: Buffer, pixels: Uint8Array): void {
    const place = this.#placeOf(key);
    const line = this.#readLine(place);
    // Its own slot, when that turned out damaged; else an empty one; else, sometimes, somebody else's.
    let way = wayOf(line, key);
    if (way < 0) way = wayOf(line, NO_KEY);
    if (way < 0) {
      if (++this.#refused % REPLACE_EVERY !== 0) return;
      way = key[KEY_BYTES - 1]! % WAYS;
    }
    const slot = Buffer.allocUnsafe(this.#slotBytes);
    key.copy(slot);
    slot.writeUInt32LE(crc32(pixels), KEY_BYTES);
    slot.set(pixels, SLOT_HEADER_BYTES);
    try {
      writeFully(this.#file, slot, this.#slotStart(place, way));
      writeFully(this.#file, key, place * LINE_BYTES + way * KEY_BYTES);
    } catch (error) {
      this.failure = messageOf(error);
    }
  }
}

const NO_KEY = Buffer.alloc(KEY_BYTES);

/** Which of a place's keys is this one; -1 for none. */
function wayOf(line: Buffer, key: Buffer): number {
  for (let way = 0; way < WAYS; way++) {
    if (line.compare(key, 0, KEY_BYTES, way * KEY_BYTES, (way + 1) * KEY_BYTES) === 0) return way;
  }
  return -1;
}

/** Writes all bytes; a nearly full disk may take fewer at once. */
function writeFully(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}
