/** @file The page's files, as they are sent: with a policy that lets the page load from this server only. */
import { readdir, readFile } from "node:fs/promises";
import { extname } from "node:path";
import { FaceError, messageOf } from "../base/errors.ts";

/** Built by `npm run build`, beside the compiled program. */
const FOLDER = new URL("../../dist/web/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** `blob:` and `data:` are photographs that the user chose; nothing is loaded from elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface PageFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** The files by path. */
export class Page {
  readonly #files: ReadonlyMap<string, PageFile>;

  private constructor(files: ReadonlyMap<string, PageFile>) {
    this.#files = files;
  }

  /** @throws FaceError `FILE_INVALID` where the page was not built. */
  static async load(folder = FOLDER): Promise<Page> {
    try {
      const files = new Map<string, PageFile>();
      for (const name of await readdir(folder)) {
        const type = TYPES[extname(name)];
        if (type === undefined) continue;
        const file = {
          headers: {
            "content-type": type,
            "content-security-policy": POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "permissions-policy": "camera=(self), microphone=(), geolocation=()",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-cache",
          },
          body: await readFile(new URL(name, folder)),
        };
        files.set(name === "index.html" ? "/" : `/${name}`, file);
      }
      return new Page(files);
    } catch (error) {
      throw new FaceError("FILE_INVALID", `the page is not here: ${messageOf(error)}`, {
        hint: "npm run build makes it",
        cause: error,
      });
    }
  }

  /** The file of a path, for a reader. */
  at(method: string, path: string): PageFile | undefined {
    return method === "GET" || method === "HEAD" ? this.#files.get(path) : undefined;
  }
}
