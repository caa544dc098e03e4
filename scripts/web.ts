/** @file Bundles the page of web/ into dist/web/, from which `faceid app` and `faceid serve --page` serve it. */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const OUT = join(ROOT, "dist/web");

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
await build({
  absWorkingDir: ROOT,
  entryPoints: { app: "web/src/app.ts", compute: "web/src/private/compute.ts" },
  outdir: OUT,
  bundle: true,
  format: "esm",
  target: "es2023",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg", "app.css"]) cpSync(join(ROOT, "web", name), join(OUT, name));
