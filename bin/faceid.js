#!/usr/bin/env node
/** @file Starts the built command; on an older Node, or in a fresh clone, it says what to do. */
import { existsSync } from "node:fs";

const main = new URL("../dist/cli/main.js", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`error: faceid needs Node 20.19 or newer, this is ${process.versions.node}`);
  console.error("  install a newer one from https://nodejs.org, or by nvm: nvm install 22");
  process.exitCode = 12;
} else if (existsSync(main)) {
  // Until the command is loaded, which replaces these.
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const { run } = await import(main.href);
  await run(process.argv);
} else {
  console.error("error: faceid is not built yet\n  run: npm install && npm run build");
  process.exitCode = 12;
}
