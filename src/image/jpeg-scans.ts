/** @file Whether a progressive JPEG has all of its scans. */

const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
/** Progressive frames, with Huffman and with arithmetic coding. */
const isProgressive = (marker: number) => marker === 0xc2 || marker === 0xca;
const START_OF_SCAN = 0xda;
/** Markers without a length: restarts, the beginning and the end. */
const isBare = (marker: number) => marker >= 0xd0 && marker <= 0xd9;
/** Coefficients of a block. */
const COEFFICIENTS = 64;

/** Where the next marker's code stands, past the bytes of pixels; the end where there is none. */
function nextMarker(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const mark = bytes.indexOf(0xff, at);
    if (mark < 0) return bytes.length;
    at = mark + 1;
    const code = bytes[at];
    // A zero says that the byte before it is a pixel's, another 0xff is a filler.
    if (code !== undefined && code !== 0 && code !== 0xff) return at;
    if (code === undefined) return bytes.length;
  }
}

/**
 * Whether a JPEG that is cut off behind a scan has all pixels: of a progressive one, each coefficient of each component down to
 * its last bit. A decoder takes scans that are missing for bits that are zero. All others have their pixels in one scan.
 */
export function hasAllScans(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Component → the bits that are still missing of each of its coefficients. */
  const missing = new Map<number, Uint8Array>();
  for (let at = nextMarker(bytes, 0); at + 3 <= bytes.length; ) {
    const marker = bytes[at]!;
    if (isBare(marker)) {
      at = nextMarker(bytes, at + 1);
      continue;
    }
    const [head, end] = [at + 3, at + 1 + view.getUint16(at + 1)];
    if (isFrame(marker)) {
      if (!isProgressive(marker)) return true;
      const count = bytes[head + 5] ?? 0;
      for (let i = 0; i < count; i++) {
        missing.set(bytes[head + 6 + 3 * i] ?? -1, new Uint8Array(COEFFICIENTS).fill(1));
      }
    }
    if (marker === START_OF_SCAN) {
      const count = bytes[head] ?? 0;
      const [first = 0, last = 0, bits = 0] = bytes.subarray(head + 1 + 2 * count);
      for (let i = 0; i < count; i++) {
        missing.get(bytes[head + 1 + 2 * i] ?? -1)?.fill(bits & 0xf, first, last + 1);
      }
    }
    at = nextMarker(bytes, end);
  }
  return [...missing.values()].every((bits) => bits.every((each) => each === 0));
}
