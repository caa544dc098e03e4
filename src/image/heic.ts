/** @file The only door to libheif: HEIC photographs, as telephones take them, to pixels. */
// sharp's libvips decodes AVIF, but comes without a decoder for HEVC, the codec of HEIC.
import { createRequire } from "node:module";
import type { Pixels } from "./settings.ts";

type Handle = object;

interface Channel {
  readonly width: number;
  readonly height: number;
  /** Bytes from one row to the next. */
  readonly stride: number;
  readonly data: Uint8Array;
}

/** A failed call returns its error in the place of its result. */
interface Failure {
  readonly code?: object;
  readonly message?: string;
}

/** What is used of libheif's functions. */
interface Libheif {
  heif_context_alloc(): Handle;
  heif_context_free(context: Handle): void;
  heif_context_read_from_memory(context: Handle, bytes: Uint8Array): Failure;
  heif_js_context_get_primary_image_handle(context: Handle): Handle & Failure;
  heif_image_handle_release(image: Handle): void;
  heif_image_handle_get_width(image: Handle): number;
  heif_image_handle_get_height(image: Handle): number;
  heif_js_decode_image2(
    image: Handle,
    colours: unknown,
    order: unknown,
  ): Promise<Failure & { readonly image: Handle; readonly channels: readonly Channel[] }>;
  heif_image_release(image: Handle): void;
  readonly heif_error_code: { readonly heif_error_Ok: object };
  readonly heif_colorspace: { readonly heif_colorspace_RGB: unknown };
  readonly heif_chroma: { readonly heif_chroma_interleaved_RGB: unknown };
}

let loaded: Libheif | undefined;

/** Compiles the module at the first HEIC file, in about a quarter of a second. */
function libheif(): Libheif {
  loaded ??= createRequire(import.meta.url)("libheif-js/wasm-bundle") as Libheif;
  return loaded;
}

/** Brands of files whose image is compressed by HEVC (ISO/IEC 23008-12, annex B). */
const HEVC_BRAND = /^(hei[cxms]|hev[cxms])$/;
const BRAND_BYTES = 4;

/** Whether a file of the HEIF family holds HEVC, which is for libheif, rather than AV1. */
export function isHevc(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < 16) return false;
  const end = Math.min(file.readUInt32BE(0), file.length);
  // The second word is a version, which is no brand.
  for (let at = 8; at + BRAND_BYTES <= end; at += BRAND_BYTES) {
    if (HEVC_BRAND.test(file.toString("latin1", at, at + BRAND_BYTES))) return true;
  }
  return false;
}

/** The colour profile that the file holds: the box `colr` of type `prof`. */
export function profileOf(bytes: Uint8Array): Uint8Array | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = file.indexOf("colrprof", 0, "latin1");
  if (at < 4) return undefined;
  const end = at - 4 + file.readUInt32BE(at - 4);
  return end <= file.length && end > at + 8 ? file.subarray(at + 8, end) : undefined;
}

function reasonOf({ message }: Failure): Error {
  const cut = /end of file|premature|truncat/i.test(message ?? "")
    ? "it is cut off"
    : "no image can be read from it";
  return new Error(`damaged HEIC file: ${cut}`, { cause: message });
}

function packed({ data, width, height, stride }: Channel): Pixels {
  const row = width * 3;
  const rgb = new Uint8Array(height * row);
  for (let y = 0; y < height; y++) rgb.set(data.subarray(y * stride, y * stride + row), y * row);
  return { data: rgb, width, height };
}

/**
 * Decodes the primary image of a HEIC file, upright: rotation and mirroring are properties of the file.
 * @throws Error for a damaged file, or one of more than `maxPixels`.
 */
export async function readHeic(bytes: Uint8Array, maxPixels: number): Promise<Pixels> {
  const lib = libheif();
  const context = lib.heif_context_alloc();
  try {
    const status = lib.heif_context_read_from_memory(context, bytes);
    if (status.code !== lib.heif_error_code.heif_error_Ok) throw reasonOf(status);
    const handle = lib.heif_js_context_get_primary_image_handle(context);
    if (handle.code !== undefined) throw reasonOf(handle);
    try {
      const pixels = lib.heif_image_handle_get_width(handle) * lib.heif_image_handle_get_height(handle);
      if (pixels > maxPixels) throw new Error("Input image exceeds pixel limit");
      const decoded = await lib.heif_js_decode_image2(
        handle,
        lib.heif_colorspace.heif_colorspace_RGB,
        lib.heif_chroma.heif_chroma_interleaved_RGB,
      );
      if (decoded.code !== undefined || decoded.channels[0] === undefined) throw reasonOf(decoded);
      const result = packed(decoded.channels[0]);
      lib.heif_image_release(decoded.image);
      return result;
    } finally {
      lib.heif_image_handle_release(handle);
    }
  } finally {
    lib.heif_context_free(context);
  }
}
