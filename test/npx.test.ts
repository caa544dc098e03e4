/** @file A server that npx started ends with npx, however that ends. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SHIPPED_MODEL } from "../src/artifact/shipped.ts";

const BIN = join(import.meta.dirname, "../bin/faceid.js");

/** Stands for npx: starts the command through a shell, as npm does, and prints what it says. */
const NPX = `
const { spawn } = require("node:child_process");
const [bin, ...flags] = process.argv.slice(1);
spawn("sh", ["-c", '"$0" "$@"; true', process.execPath, bin, ...flags], { stdio: "inherit" });
setInterval(() => undefined, 1000);`;

describe.skipIf(process.platform !== "linux")("a server started by npx", () => {
  it.each(["SIGTERM", "SIGKILL"] as const)("ends after %s to npx", async (signal) => {
    const model = SHIPPED_MODEL;
    const flags = ["serve", `--model_base_path=${model}`, "--port=0", "--rest_api_port=18533"];
    const npx = spawn(process.execPath, ["-e", NPX, BIN, ...flags], {
      env: { ...process.env, npm_command: "exec" },
    });
    let log = "";
    for (const stream of [npx.stdout, npx.stderr])
      stream.on("data", (data: Buffer) => {
        log += data.toString();
      });
    // The pipes close when the server, which has inherited them, is gone too.
    const ended = new Promise((done) => npx.on("close", done));
    while (!log.includes("Exporting HTTP/REST API")) {
      if (npx.exitCode !== null) throw new Error(log);
      await new Promise((done) => setTimeout(done, 100));
    }
    npx.kill(signal);
    await ended;
    expect(log).toContain("Done unloading");
  });
});
