/** @file A cache of decoded pixels on disk, so that an image is not decoded again in every epoch and run. */
import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { messageOf } from "../base/errors.ts";
import { makeFolderSync, systemCacheFolder } from "../base/files.ts";
import { type ImageSettings, imageSize, settingsText } from "../image/settings.ts";
import { DRAWING_VERSION } from "../synthetic/draw.ts";
import { faceCropText } from "./face-crop.ts";
import type { ImageRef } from "./identity.ts";

/** Raise this when decoding or resizing changes, which makes old entries invalid. */
const DECODING_VERSION = 1;

/** Slots of one set, as in a set-associative processor cache. */
const WAYS = 8;
/** Bytes of a key, and of the keys of one set. */
const KEY_BYTES = 8;
const LINE_BYTES = WAYS * KEY_BYTES;
/** A slot begins with the key and the checksum of the pixels. */
const SLOT_HEADER_BYTES = KEY_BYTES + 4;

/** Of so many images that find their set full, one replaces another; otherwise a dataset larger than the cache would
 * rewrite it in every epoch. */
const REPLACE_EVERY = 16;

const MEGABYTE = 2 ** 20;

/** The default folder of the cache: `FACEID_CACHE_DIR`, or the system's folder for caches. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.FACEID_CACHE_DIR || systemCacheFolder(environment);
}

/** A hash of all that an image's pixels depend on. A changed file has another key, an unreadable file none. */
function keyOf(image: ImageRef): Buffer | undefined {
  let source: string;
  if (image.kind === "file") {
    try {
      const { size, mtimeMs } = statSync(image.path);
      const face = image.face === undefined ? "" : `${faceCropText(image.face)} `;
      source = `file ${DECODING_VERSION} ${face}${size} ${mtimeMs} ${image.path}`;
    } catch {
      // Decoding will give the reason.
      return undefined;
    }
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
 * One file per image size for all datasets, runs and threads: a table of keys, then the slots. A slot has its key and a
 * checksum, so a slot that a crash or another process left incomplete is only decoded again.
 */
export class PixelCache implements Disposable {
  readonly #file: number;
  readonly #slotBytes: number;
  /** Number of sets of WAYS slots. */
  readonly #sets: number;
  readonly #line = Buffer.alloc(LINE_BYTES);
  #refused = 0;
  /** Why the cache is no longer written to, for instance a full disk. */
  failure: string | undefined;

  /**
   * Opens or creates the cache. On most file systems the file takes only the space of its used slots.
   * @param megabytes largest size.
   * @throws the system's error when the folder cannot be written to.
   */
  constructor(folder: string, settings: ImageSettings, megabytes: number) {
    this.#slotBytes = SLOT_HEADER_BYTES + imageSize(settings);
    const slots = Math.floor((megabytes * MEGABYTE) / (this.#slotBytes + KEY_BYTES));
    this.#sets = Math.max(1, Math.floor(slots / WAYS));
    makeFolderSync(folder);
    const path = join(folder, `pixels-${settingsText(settings)}-${this.#sets * WAYS}.bin`);
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  }

  /**
   * The image's pixels from the cache, or from `decode`, which are then stored.
   * @throws what `decode` throws.
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

  #setOf(key: Buffer): number {
    return key.readUInt32LE(0) % this.#sets;
  }

  #slotStart(set: number, way: number): number {
    return this.#sets * LINE_BYTES + (set * WAYS + way) * this.#slotBytes;
  }

  /** Reads the keys of a set; those beyond the end of the file are zeros. */
  #readLine(set: number): Buffer {
    const line = this.#line;
    const length = readSync(this.#file, line, 0, LINE_BYTES, set * LINE_BYTES);
    return length === LINE_BYTES ? line : line.fill(0, length);
  }

  #read(key: Buffer): Uint8Array | undefined {
    const set = this.#setOf(key);
    const way = wayOf(this.#readLine(set), key);
    if (way < 0) return undefined;
    const slot = Buffer.allocUnsafeSlow(this.#slotBytes);
    const length = readSync(this.#file, slot, 0, this.#slotBytes, this.#slotStart(set, way));
    const pixels = slot.subarray(SLOT_HEADER_BYTES);
    const whole =
      length === this.#slotBytes &&
      slot.subarray(0, KEY_BYTES).equals(key) &&
      slot.readUInt32LE(KEY_BYTES) === crc32(pixels);
    return whole ? pixels : undefined;
  }

  #write(key: Buffer, pixels: Uint8Array): void {
    const set = this.#setOf(key);
    const line = this.#readLine(set);
    // The slot with this key, if it is damaged; else an empty slot; else, sometimes, a used one.
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
      writeFully(this.#file, slot, this.#slotStart(set, way));
      writeFully(this.#file, key, set * LINE_BYTES + way * KEY_BYTES);
    } catch (error) {
      this.failure = messageOf(error);
    }
  }
}

const NO_KEY = Buffer.alloc(KEY_BYTES);

/** Index of a key in a set; -1 if it is not there. */
function wayOf(line: Buffer, key: Buffer): number {
  for (let way = 0; way < WAYS; way++) {
    if (line.compare(key, 0, KEY_BYTES, way * KEY_BYTES, (way + 1) * KEY_BYTES) === 0) return way;
  }
  return -1;
}

/** Writes all bytes; one call may write fewer when the disk is nearly full. */
function writeFully(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}
