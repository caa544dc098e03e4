/** @file The page's files, as they are sent: with a policy that lets the page load from this server only. */
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { FaceError, messageOf } from "../base/errors.ts";

/** Built by `npm run build`, beside the compiled program. */
const FOLDER = new URL("../../dist/web/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** `blob:` and `data:` are photographs that the user chose; nothing is loaded from elsewhere. */
const policyOf = (scripts: string) =>
  [
    "default-src 'none'",
    `script-src ${scripts}`,
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

/** Only the thread that runs the networks compiles WebAssembly; a policy allows that by this word, and no other code from text. */
const POLICIES: Readonly<Record<string, string>> = { "compute.js": policyOf("'self' 'wasm-unsafe-eval'") };
const POLICY = policyOf("'self'");

/** A file as it is sent. */
export interface PageFile {
  readonly headers: Readonly<Record<string, string>>;
  read(): Promise<Buffer>;
}

const COMMON = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(self), microphone=(), geolocation=()",
  "cross-origin-opener-policy": "same-origin",
} as const;

/** The files of `onnxruntime-web` that the page loads: its program, and the WebAssembly with and without WebGPU. */
const RUNTIME_FILES = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

/** The folder of `onnxruntime-web` and where the page asks for it; undefined where it is not installed. */
async function installedRuntime(): Promise<{ readonly folder: string; readonly path: string } | undefined> {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
    const { version } = JSON.parse(await readFile(join(folder, "../package.json"), "utf8")) as {
      version: string;
    };
    return { folder, path: `/runtime/${version}/` };
  } catch {
    return undefined;
  }
}

/** The page with the address of the runtime in it, from which its script reads whether there is one. */
const withRuntime = (page: Buffer, path = ""): Buffer =>
  Buffer.from(page.toString().replace('data-runtime=""', `data-runtime="${path}"`));

/** The files by path. */
export class Page {
  readonly #files: ReadonlyMap<string, PageFile>;

  private constructor(files: ReadonlyMap<string, PageFile>) {
    this.#files = files;
  }

  /** @throws FaceError `FILE_INVALID` where the page was not built. */
  static async load(folder = FOLDER): Promise<Page> {
    const runtime = await installedRuntime();
    try {
      const files = new Map<string, PageFile>();
      for (const name of await readdir(folder)) {
        const type = TYPES[extname(name)];
        if (type === undefined) continue;
        const content = await readFile(new URL(name, folder));
        const body = name === "index.html" ? withRuntime(content, runtime?.path) : content;
        const headers = {
          ...COMMON,
          "content-type": type,
          "content-security-policy": POLICIES[name] ?? POLICY,
          "cache-control": "no-cache",
        };
        files.set(name === "index.html" ? "/" : `/${name}`, { headers, read: async () => body });
      }
      for (const name of runtime === undefined ? [] : RUNTIME_FILES) {
        const headers = {
          ...COMMON,
          "content-type": TYPES[extname(name)]!,
          "content-security-policy": POLICY,
          // Its version is part of the path.
          "cache-control": "public, max-age=31536000, immutable",
        };
        const read = () => readFile(join(runtime!.folder, name));
        files.set(`${runtime!.path}${name}`, { headers, read });
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
