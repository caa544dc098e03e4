/** @file The markers of a JPEG: how many pixels it has, and whether it has all of its scans (ITU-T T.81, B.2.2, B.2.3 and G.1.1). */

const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
/** Progressive frames, with Huffman and with arithmetic coding. */
const isProgressive = (marker: number) => marker === 0xc2 || marker === 0xca;
/** Frames with arithmetic coding. */
const isArithmetic = (marker: number) => marker > 0xc8;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
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

/** The markers of a JPEG up to its end, or up to where it is cut off, and where the parameters of each begin. */
function* markersOf(bytes: Uint8Array): Generator<{ readonly marker: number; readonly head: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = nextMarker(bytes, 0); at < bytes.length; ) {
    const marker = bytes[at]!;
    const isCut = !isBare(marker) && at + 3 > bytes.length;
    if (isCut) return;
    yield { marker, head: at + 3 };
    // What follows is another picture, such as a preview.
    if (marker === END_OF_IMAGE) return;
    at = nextMarker(bytes, isBare(marker) ? at + 1 : at + 1 + view.getUint16(at + 1));
  }
}

/** Whether a JPEG has the marker of its end, at the very end also where wrong bytes before it hide it. */
export const hasEnd = (bytes: Uint8Array): boolean =>
  (bytes.at(-2) === 0xff && bytes.at(-1) === END_OF_IMAGE) ||
  [...markersOf(bytes)].at(-1)?.marker === END_OF_IMAGE;

/** The pixels that the head of a JPEG names; undefined where it has none, or leaves the lines to a later marker. */
export function sizeOf(bytes: Uint8Array): number | undefined {
  for (const { marker, head } of markersOf(bytes)) {
    if (marker === START_OF_SCAN) return undefined;
    if (!isFrame(marker)) continue;
    const [, heightHigh = 0, heightLow = 0, widthHigh = 0, widthLow = 0] = bytes.subarray(head);
    return (heightHigh * 256 + heightLow) * (widthHigh * 256 + widthLow) || undefined;
  }
  return undefined;
}

/** What the scans of a JPEG hold. */
export interface JpegScans {
  /** Whether the marker of the end comes before the scans are complete. */
  readonly ended: boolean;
  /** `detail`: components after the first, which usually are the colours, have no more than the mean of each block. */
  readonly lacks: "nothing" | "detail" | "pixels";
  /** Whether the scans are coded arithmetically: a decoder takes zeros for bytes that such a scan lacks, without a warning (D.2.2). */
  readonly arithmetic: boolean;
}

/** Component → the bits that are still missing of each of its coefficients, of which the first is the block's mean. */
type Missing = ReadonlyMap<number, Uint8Array>;

/** Of a coefficient of which there was no scan: more than the 13 bits that scans can leave for later. */
const NEVER = 0xff;

const isWhole = (bits: Uint8Array) => bits.every((each) => each === 0);
/** Whether no scan with other coefficients than the mean was begun. */
const isMean = ([mean, ...others]: Uint8Array) => mean === 0 && others.every((each) => each === NEVER);

function lackOf(missing: Missing): JpegScans["lacks"] {
  const [first, ...others] = [...missing.values()];
  if (first === undefined) return "nothing";
  if (!isWhole(first) || !others.every((bits) => isWhole(bits) || isMean(bits))) return "pixels";
  return others.every(isWhole) ? "nothing" : "detail";
}

/** The components of a frame, of which no scan has come. @param head where its parameters begin. */
function componentsOf(bytes: Uint8Array, head: number): Map<number, Uint8Array> {
  const count = bytes[head + 5] ?? 0;
  const ids = Array.from({ length: count }, (_, i) => bytes[head + 6 + 3 * i] ?? -1);
  return new Map(ids.map((id) => [id, new Uint8Array(COEFFICIENTS).fill(NEVER)]));
}

/** Notes what a scan brings. In a frame that is not progressive that is all of its components, whatever its head says. */
function note(missing: Missing, bytes: Uint8Array, head: number, progressive: boolean): void {
  const count = bytes[head] ?? 0;
  const [first = 0, last = 0, bits = 0] = bytes.subarray(head + 1 + 2 * count);
  for (let i = 0; i < count; i++) {
    const of = missing.get(bytes[head + 1 + 2 * i] ?? -1);
    if (progressive) of?.fill(bits & 0xf, first, last + 1);
    else of?.fill(0);
  }
}

/**
 * Which scans a JPEG has: of a progressive one, whether each coefficient of each component comes down to its last bit; of another
 * one, whether each component has its scan. A decoder takes scans that are missing for bits that are zero, and says nothing where
 * the marker of the end follows. T.81 lets an encoder leave out bits, but none is known that does: the scripts of libjpeg and
 * mozjpeg code every coefficient of every component, also of a picture of one colour.
 */
export function scansOf(bytes: Uint8Array): JpegScans {
  let missing: Missing | undefined;
  let [progressive, arithmetic, ended] = [false, false, false];
  for (const { marker, head } of markersOf(bytes)) {
    ended = marker === END_OF_IMAGE;
    if (isFrame(marker) && missing === undefined) {
      missing = componentsOf(bytes, head);
      progressive = isProgressive(marker);
      arithmetic = isArithmetic(marker);
    }
    if (marker === START_OF_SCAN && missing !== undefined) {
      note(missing, bytes, head, progressive);
      // The usual file has all in its first scan, whose bytes need not be looked through.
      if (lackOf(missing) === "nothing") return { ended: false, lacks: "nothing", arithmetic };
    }
  }
  return { ended, lacks: missing === undefined ? "nothing" : lackOf(missing), arithmetic };
}
