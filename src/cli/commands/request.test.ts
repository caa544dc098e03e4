/** @file `faceid request` at a server that has another model than the one it asks for. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { run } from "../main.ts";

const server = createServer((_, answer) => {
  answer.writeHead(404).end('{"error": "Servable not found for request: Latest(faceid)"}');
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const exitCode = process.exitCode;
afterAll(() => server.close());
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = exitCode;
});

it("points to --model-name, and names the pack's", async () => {
  const photo = join(await temporaryFolder(), "a.jpg");
  writeFileSync(photo, "");
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((text) => said.push(String(text)));
  vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
  const { port } = server.address() as AddressInfo;
  await run(["node", "faceid", "request", photo, photo, "--url", `127.0.0.1:${port}`]);
  expect(said[0]).toContain("Servable not found");
  expect(said[1]).toContain("the server has no model faceid");
  expect(said[1]).toContain("--model-name opencv-sface");
  expect(process.exitCode).toBe(9);
});
