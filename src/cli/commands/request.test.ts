/** @file `faceid request` at a server that has another model than the one it asks for. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { run } from "../main.ts";

/** The server's warning for models that compared whole pictures. */
const answers: readonly (readonly [model: string, answer: object])[] = [
  ["framed", { similarity: 0.5, warnings: ["the images were compared as they are"] }],
  ["unframed", { similarity: 0.5 }],
];
const server = createServer(({ url }, answer) => {
  const known = answers.find(([model]) => url?.includes(`/models/${model}`));
  if (known !== undefined) answer.end(JSON.stringify(known[1]));
  else answer.writeHead(404).end('{"error": "Servable not found for request: Latest(faceid)"}');
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

it.each([
  ["framed", "whole photographs take a server with --pack"],
  ["unframed", "unframed does not say how a face lies in its images"],
])("says what gets faces found for a model that is %s", async (model, hint) => {
  const photo = join(await temporaryFolder(), "a.jpg");
  writeFileSync(photo, "");
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
  const { port } = server.address() as AddressInfo;
  const url = `127.0.0.1:${port}`;
  await run(["node", "faceid", "request", photo, photo, "--url", url, "--model-name", model, "--verify"]);
  expect(said).toHaveLength(1);
  expect(said[0]).toContain(hint);
});
