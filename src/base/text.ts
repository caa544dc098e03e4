/** @file Text files as other programs write them: the bytes of any usual encoding as a string. */

/** The encoding that the first bytes tell: a byte-order mark, or the zero bytes of Latin letters in UTF-16. */
function wideEncoding([first, second]: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return "utf-16le";
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0 && second !== undefined))
    return "utf-16be";
  return undefined;
}

/** Text in UTF-8 or UTF-16, with or without a byte-order mark; what is neither is read as Windows-1252. */
export function decodeText(bytes: Uint8Array): string {
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return new TextDecoder(wide).decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
