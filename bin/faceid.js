#!/usr/bin/env node
/** @file Starts the built command; in a fresh clone it says how to build it. */
import { existsSync } from "node:fs";

const main = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(main)) {
  const { run } = await import(main.href);
  await run(process.argv);
} else {
  console.error("error: faceid is not built yet\n  run: npm install && npm run build");
  process.exitCode = 70;
}
