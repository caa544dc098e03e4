/** @file The body of a server's answer, read up to a limit: a server may be any, and send without end. */

export interface Body {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether the body is longer than the limit; `bytes` is its beginning then. */
  readonly isCut: boolean;
}

/**
 * Reads at most `most` bytes, counted after decompression, and drops the connection where there are more.
 * @throws the error of `fetch` when the connection breaks or its time is over.
 */
export async function readBody(response: Response, most: number): Promise<Body> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    size += value.length;
    if (size <= most) continue;
    await reader.cancel().catch(() => undefined);
    break;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes: bytes.subarray(0, most), isCut: size > most };
}

/** As `readBody`, decoded as UTF-8. */
export async function readText(
  response: Response,
  most: number,
): Promise<{ readonly text: string; readonly isCut: boolean }> {
  const { bytes, isCut } = await readBody(response, most);
  return { text: new TextDecoder().decode(bytes), isCut };
}

/** A text that a server sent, cut to be repeated in a message: `{"predictions": … (20,000,000 characters)`. */
export function excerpt(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most)}… (${text.length.toLocaleString("en-US")} characters)`;
}
