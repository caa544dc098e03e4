/** @file Writes zip and tar archives byte by byte, good ones and bad ones, for tests of unpacking. */
import { crc32, deflateRawSync } from "node:zlib";

export interface ArchivedFile {
  readonly path: string;
  readonly content: string | Uint8Array;
  /** Lies about the checksum of the content (zip) or of the header (tar). */
  readonly wrongChecksum?: boolean;
  /** Claims another size than the content has. */
  readonly claimedSize?: number;
  /** Marks the file as a symbolic link. */
  readonly link?: boolean;
}

function fields(...values: readonly (readonly [bytes: 2 | 4, value: number])[]): Buffer {
  const buffer = Buffer.alloc(values.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of values) at = buffer.writeUIntLE(value, at, bytes);
  return buffer;
}

/** A zip archive (PKWARE's APPNOTE), files deflated. */
export function zipOf(files: readonly ArchivedFile[]): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { path, content, wrongChecksum = false, claimedSize, link = false } of files) {
    const name = Buffer.from(path);
    const plain = Buffer.from(content);
    const packed = deflateRawSync(plain);
    const checksum = wrongChecksum ? 1 : crc32(plain);
    const common = [
      [2, 20],
      [2, 0x800],
      [2, 8],
      [4, 0],
      [4, checksum],
      [4, packed.length],
      [4, claimedSize ?? plain.length],
      [2, name.length],
      [2, 0],
    ] as const;
    local.push(fields([4, 0x04034b50], ...common), name, packed);
    const mode = link ? 0o120777 : 0o100644;
    central.push(
      fields([4, 0x02014b50], [2, 0x314], ...common, [2, 0], [2, 0], [2, 0], [4, mode * 65_536], [4, offset]),
      name,
    );
    offset += 30 + name.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = fields(
    [4, 0x06054b50],
    [4, 0],
    [2, files.length],
    [2, files.length],
    [4, directory.length],
    [4, offset],
    [2, 0],
  );
  return Buffer.concat([...local, directory, end]);
}

const BLOCK = 512;
const padded = (bytes: Uint8Array) =>
  Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

/** One header and content of a tar archive; `kind` is the type flag. */
export function tarEntry(file: ArchivedFile, kind = file.link === true ? "2" : "0"): Buffer {
  const content = Buffer.from(file.content);
  const header = Buffer.alloc(BLOCK);
  header.write(file.path.slice(0, 100), 0);
  header.write("0000644\0", 100);
  header.write((file.claimedSize ?? content.length).toString(8).padStart(11, "0"), 124);
  header.write("        ", 148);
  header.write(kind, 156);
  header.write("ustar\x0000", 257);
  const sum = header.reduce((a, b) => a + b, 0) + (file.wrongChecksum === true ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, padded(content)]);
}

/** A tar archive (POSIX ustar). */
export function tarOf(files: readonly ArchivedFile[]): Buffer {
  return Buffer.concat([...files.map((file) => tarEntry(file)), Buffer.alloc(2 * BLOCK)]);
}
