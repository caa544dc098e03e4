/** @file CRC-32C, the checksum of LevelDB tables, tensor bundles and TFRecord files; Node's zlib has CRC-32 only, with another polynomial. */

/** The Castagnoli polynomial, lowest power first. */
const POLYNOMIAL = 0x82f63b78;
/** Bytes taken together ("slicing by 8"): one table each. */
const LANES = 8;

/** `TABLES[256 · k + byte]`: what a byte does to the sum when k more bytes follow it. */
const TABLES = (() => {
  const tables = new Int32Array(256 * LANES);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
})();

/**
 * The checksum of some bytes.
 * @param previous the checksum of what came before them; 0 at the beginning
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  const whole = bytes.length - (bytes.length % LANES);
  let at = 0;
  for (; at < whole; at += LANES) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      TABLES[0x700 | (crc & 0xff)]! ^
      TABLES[0x600 | ((crc >>> 8) & 0xff)]! ^
      TABLES[0x500 | ((crc >>> 16) & 0xff)]! ^
      TABLES[0x400 | (crc >>> 24)]! ^
      TABLES[0x300 | bytes[at + 4]!]! ^
      TABLES[0x200 | bytes[at + 5]!]! ^
      TABLES[0x100 | bytes[at + 6]!]! ^
      TABLES[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ TABLES[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

const MASK_DELTA = 0xa282ead8;

/** The form in which checksums are stored, as LevelDB masks them, since data with embedded checksums is summed again. */
export function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}
