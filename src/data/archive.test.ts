/** @file Unpacking real archives, and refusing those that are damaged or climb out of their folder. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ArchivedFile, tarEntry, tarOf, zipOf } from "../../test/support/archives.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { type ExtractOptions, extractArchive } from "./archive.ts";

const FILES: ArchivedFile[] = [
  { path: "set/7/0.png", content: "zero" },
  { path: "set/7/1.png", content: Buffer.alloc(3000, 5) },
  { path: "set/readme.txt", content: "" },
];

/** Writes an archive into a new folder and unpacks it beside itself. */
async function unpack(bytes: Uint8Array, options?: ExtractOptions) {
  const root = await temporaryFolder();
  const archive = join(root, "archive");
  const folder = join(root, "out");
  await mkdir(folder);
  await writeFile(archive, bytes);
  return { folder, root, archive, result: extractArchive(archive, folder, options) };
}

const kinds = [
  ["zip", zipOf],
  ["tar", (files: readonly ArchivedFile[]) => gzipSync(tarOf(files))],
] as const;

describe.each(kinds)("a %s archive", (kind, pack) => {
  it("is unpacked file by file", async () => {
    const seen: number[] = [];
    const { folder, result } = await unpack(pack(FILES), { onFile: (done) => seen.push(done) });
    expect(await result).toBe(3);
    for (const { path, content } of FILES)
      expect(readFileSync(join(folder, path))).toEqual(Buffer.from(content));
    expect(seen).toEqual([1, 2, 3]);
  });

  it("is unpacked where its files are told to go", async () => {
    const place = (path: string) => /(\d+\/\d+\.png)$/.exec(path)?.[1];
    const { folder, result } = await unpack(pack(FILES), { place });
    expect(await result).toBe(2);
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(["7", "7/0.png", "7/1.png"]);
  });

  it("goes on where it was interrupted", async () => {
    const { folder, result, archive } = await unpack(pack(FILES));
    await result;
    const kept = join(folder, "set/7/1.png");
    await utimes(kept, 1000, 1000);
    await writeFile(join(folder, "set/7/0.png"), "cut");
    expect(await extractArchive(archive, folder)).toBe(3);
    expect(readFileSync(join(folder, "set/7/0.png"), "utf8")).toBe("zero");
    expect(statSync(kept).mtimeMs).toBe(1_000_000);
  });

  it.each(["../evil", "set/../../evil", "/tmp/evil", "C:/evil", "set\\..\\..\\evil", "\\\\host\\evil"])(
    "may not write to %j",
    async (path) => {
      const { root, result } = await unpack(pack([...FILES.slice(0, 1), { path, content: "x" }]));
      await expect(result).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
      expect(existsSync(join(root, "evil"))).toBe(false);
      expect(existsSync("/tmp/evil")).toBe(false);
    },
  );

  it.each([
    ["links", [{ path: "a/b", content: "/etc/passwd", link: true }], /link/],
    [
      "wrong checksums",
      [{ path: "a/b", content: "data", wrongChecksum: true }],
      /checksum|Invalid tar header/,
    ],
    ["wrong sizes", [{ path: "a/b", content: "data", claimedSize: 9_999_999 }], /cannot unpack/],
    ["bombs", [{ path: "a/b", content: "data", claimedSize: 4_000_000_000 }], /cannot unpack/],
  ] as const)("is refused for %s", async (_, files, reason) => {
    const { folder, result } = await unpack(pack(files));
    await expect(result).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      message: expect.stringMatching(reason),
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is refused when it is cut off anywhere", async () => {
    const whole = pack(FILES);
    for (const share of [0.02, 0.3, 0.6, 0.9, 0.99]) {
      const { result } = await unpack(whole.subarray(0, Math.floor(whole.length * share)));
      await expect(result, `${kind} cut at ${share}`).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
    }
  });

  it("gives the right files or an error, never something else, when a byte is changed", async () => {
    const whole = pack(FILES);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = Buffer.from(whole);
        bytes[at] = bytes[at]! ^ flip;
        const { folder, result } = await unpack(bytes);
        const done = await result.then(
          () => true,
          (error: unknown) => {
            expect(error).toMatchObject({ name: "FaceError" });
            return false;
          },
        );
        const large = join(folder, "set/7/1.png");
        if (done && existsSync(large)) expect(readFileSync(large)).toEqual(Buffer.alloc(3000, 5));
      }),
      { numRuns: 60 },
    );
  });

  it("stops on a signal", async () => {
    const { result } = await unpack(pack(FILES), { signal: AbortSignal.abort() });
    await expect(result).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});

describe("tar's long names", () => {
  const long = `${"long/".repeat(30)}name.png`;
  const end = Buffer.alloc(1024);

  it("are read in GNU's and in pax's way", async () => {
    const length = ` path=${long}\n`.length + 3;
    const archives = [
      [
        tarEntry({ path: "././@LongLink", content: `${long}\0` }, "L"),
        tarEntry({ path: "short", content: "x" }),
        end,
      ],
      [
        tarEntry({ path: "pax", content: `${length} path=${long}\n` }, "x"),
        tarEntry({ path: "short", content: "x" }),
        end,
      ],
      [
        tarEntry({ path: "g", content: "12 comment=x" }, "g"),
        tarEntry({ path: "d/", content: "" }, "5"),
        end,
      ],
    ];
    const [gnu, pax, none] = await Promise.all(
      archives.map((parts) => unpack(gzipSync(Buffer.concat(parts)))),
    );
    expect([await gnu!.result, await pax!.result, await none!.result]).toEqual([1, 1, 0]);
    for (const { folder } of [gnu!, pax!]) expect(readFileSync(join(folder, long), "utf8")).toBe("x");
  });
});

describe("a tar archive without its end", () => {
  it("is refused, since files may be missing", async () => {
    const { result } = await unpack(gzipSync(tarEntry({ path: "0.png", content: "x" })));
    await expect(result).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      message: expect.stringContaining("cut off"),
    });
  });
});

describe("other files", () => {
  it("are no archives", async () => {
    const { result } = await unpack(Buffer.from("<html>not found</html>"));
    await expect(result).rejects.toMatchObject({
      code: "ARCHIVE_INVALID",
      message: expect.stringContaining("neither a zip nor a gzipped tar"),
    });
  });
});
