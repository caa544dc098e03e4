/** @file Encrypts kept photographs: AES-256-GCM (NIST SP 800-38D), a random nonce before each, its tag behind. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { FaceError } from "../base/errors.ts";

const CIPHER = "aes-256-gcm";
const NONCE = 12;
const TAG = 16;
const KEY = 32;

/** Whatever turns kept photographs into what is stored, and back. */
export interface PhotoBox {
  readonly encrypts: boolean;
  seal(photo: Uint8Array): Uint8Array;
  open(stored: Uint8Array, encrypted: boolean): Uint8Array;
}

/**
 * A key's 32 bytes, from 64 hexadecimal digits or from base64.
 * @throws FaceError `CONFIG_INVALID` for anything else; the text is not repeated.
 */
function keyOf(text: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, "hex") : Buffer.from(trimmed, "base64");
  if (key.length === KEY) return key;
  throw new FaceError("CONFIG_INVALID", `the key for photographs has ${key.length} bytes, expected ${KEY}`, {
    hint: "make one: node -p \"crypto.randomBytes(32).toString('hex')\", and set FACEID_GALLERY_KEY",
  });
}

/** @param key 32 bytes as hexadecimal digits or base64; without one photographs are stored as they are. */
export function photoBox(key: string | undefined): PhotoBox {
  const secret = key === undefined ? undefined : keyOf(key);
  return {
    encrypts: secret !== undefined,
    seal(photo) {
      if (secret === undefined) return photo;
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv(CIPHER, secret, nonce);
      return Buffer.concat([nonce, cipher.update(photo), cipher.final(), cipher.getAuthTag()]);
    },
    open(stored, encrypted) {
      if (!encrypted) return stored;
      if (secret === undefined) {
        throw new FaceError(
          "CONFIG_INVALID",
          "the gallery's photographs are encrypted and no key was given",
          {
            hint: "set FACEID_GALLERY_KEY to the key that they were kept with",
          },
        );
      }
      try {
        const decipher = createDecipheriv(CIPHER, secret, stored.subarray(0, NONCE));
        decipher.setAuthTag(stored.subarray(stored.length - TAG));
        return Buffer.concat([
          decipher.update(stored.subarray(NONCE, stored.length - TAG)),
          decipher.final(),
        ]);
      } catch (error) {
        throw new FaceError("CONFIG_INVALID", "a kept photograph does not open with this key", {
          hint: "set FACEID_GALLERY_KEY to the key that it was kept with",
          cause: error,
        });
      }
    },
  };
}

/** A photograph's SHA-256, by which it is recognised again. */
export const digestOfPhoto = (photo: Uint8Array): string => createHash("sha256").update(photo).digest("hex");
