/** @file `faceid request` at a server that has another model than the one it asks for. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { encodePng } from "../../image/decode.ts";
import { run } from "../main.ts";

/** The server's warning for models that compared whole pictures. */
const answers: readonly (readonly [model: string, answer: object])[] = [
  ["framed", { similarity: 0.5, warnings: ["the images were compared as they are"] }],
  ["unframed", { similarity: 0.5 }],
];
const dim = [-1, 8, 8, 3].map((size) => ({ size: String(size) }));
const inputs = { anchor_img: { tensor_shape: { dim } }, verification_img: { tensor_shape: { dim } } };
const METADATA = { metadata: { signature_def: { signature_def: { serving_default: { inputs } } } } };
const server = createServer(({ url }, answer) => {
  if (url?.includes("/models/crops")) {
    const isMetadata = url.endsWith("/metadata");
    answer.end(isMetadata ? JSON.stringify(METADATA) : '{"predictions": [[0.9]]}');
    return;
  }
  if (url?.includes("/models/faceless")) {
    answer.writeHead(422).end('{"error": "no face was found in the verification", "code": "FACE_NOT_FOUND"}');
    return;
  }
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
  expect(said[1]).toContain(
    "pass --model-name with the name that it serves; of a pack alone it is --model-name opencv-sface",
  );
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

/** Runs `faceid request`; the lines of either output. */
async function asked(args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  vi.spyOn(console, "log").mockImplementation((text) => out.push(String(text)));
  vi.spyOn(console, "error").mockImplementation((text) => err.push(String(text)));
  const { port } = server.address() as AddressInfo;
  await run(["node", "faceid", "request", ...args, "--url", `127.0.0.1:${port}`]);
  return { out, err, port };
}

it("warns of whole photographs beside the answer, with the line that looks for faces", async () => {
  const folder = await temporaryFolder();
  const [crop, whole] = [join(folder, "crop.png"), join(folder, "whole.png")];
  const stripes = (width: number, height: number) =>
    encodePng(
      Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 12) % 2) * 255),
      width,
      height,
    );
  writeFileSync(crop, await stripes(8, 8));
  writeFileSync(whole, await stripes(40, 30));
  expect(await asked([crop, crop, "--model-name", "crops"])).toMatchObject({
    out: ['{"predictions": [[0.9]]}'],
    err: [],
  });
  const { out, err, port } = await asked([crop, whole, "--model-name", "crops"]);
  expect(out).toEqual(['{"predictions": [[0.9]]}']);
  expect(err).toHaveLength(2);
  expect(err[0]).toMatch(/^warning: .*whole\.png has 40x30 pixels and was sent whole, scaled to 8x8/);
  expect(err[1]).toMatch(
    new RegExp(`faceid request .*whole\\.png --verify --url 127\\.0\\.0\\.1:${port} --model-name crops$`),
  );
});

it("warns of a picture of one colour, about which any answer says nothing", async () => {
  const grey = join(await temporaryFolder(), "grey.png");
  writeFileSync(grey, await encodePng(new Uint8Array(8 * 8 * 3).fill(90), 8, 8));
  const { out, err } = await asked([grey, grey, "--model-name", "crops"]);
  expect(out).toEqual(['{"predictions": [[0.9]]}']);
  expect(err[0]).toMatch(/^warning: .*grey\.png is of one colour, or nearly so: it shows no face/);
});

it("says which file the server calls the anchor, and which the verification", async () => {
  const folder = await temporaryFolder();
  const [a, b] = [join(folder, "a.jpg"), join(folder, "b.jpg")];
  for (const path of [a, b]) writeFileSync(path, "");
  const { out, err } = await asked([a, b, "--model-name", "faceless", "--verify"]);
  expect(out).toEqual(['{"error": "no face was found in the verification", "code": "FACE_NOT_FOUND"}']);
  expect(err).toEqual([`  the anchor is ${a}, the verification ${b}`]);
});

it("does not send on to the name that the server does not have", async () => {
  const photo = join(await temporaryFolder(), "a.jpg");
  writeFileSync(photo, "");
  const { err } = await asked([photo, photo, "--model-name", "opencv-sface"]);
  expect(err).toEqual([
    "  the server has no model opencv-sface: a pack is served where no other model is, and finds faces for the others; name the model that is served with --model-name",
  ]);
});

it.each([
  ["--url", "http://127.0.0.1:2"],
  ["--url", "http://localhost:2"],
  ["--grpc", "127.0.0.1:2"],
])("does not say to pass the %s that was passed: %s", async (flag, address) => {
  const photo = join(await temporaryFolder(), "a.png");
  writeFileSync(photo, await encodePng(new Uint8Array(8 * 8 * 3), 8, 8));
  const said: string[] = [];
  vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
  await run(["node", "faceid", "request", photo, photo, flag, address]);
  expect(said.join("\n")).toMatch(
    /^error: no server answers at .*ECONNREFUSED.*\n {2}check that the server runs.*\n {2}.*faceid serve .*port 2$/,
  );
  expect(said.join("\n")).not.toContain(flag);
});

it("says that another address can be passed where none was", async () => {
  const photo = join(await temporaryFolder(), "a.jpg");
  writeFileSync(photo, "");
  const refusal = Object.assign(new TypeError("fetch failed"), {
    cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
  });
  vi.spyOn(globalThis, "fetch").mockRejectedValue(refusal);
  const said: string[] = [];
  vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
  for (const name of [[], ["--model-name", "opencv-sface"]]) {
    await run(["node", "faceid", "request", photo, photo, ...name]);
    expect(said.join("\n")).toContain("no server answers at http://localhost:8501: ECONNREFUSED");
    const served = name.length === 0 ? "--pack opencv-sface --model_name faceid" : "--pack opencv-sface";
    expect(said.join("\n")).toContain(`faceid serve ${served} --rest_api_port 8501\n`);
    expect(said.join("\n")).toContain("pass the address of one that runs elsewhere by --url");
    said.length = 0;
  }
});

describe("the line that looks for faces after a question over gRPC", () => {
  afterAll(() => vi.doUnmock("../../client/request.ts"));

  it.each([
    [["--grpc", "localhost:8500"], "--verify"],
    [["--grpc", "faces.lan:8500"], "--verify --url http://faces.lan:8501"],
    [
      ["--grpc", "faces.lan:8600"],
      "--verify --url http://faces.lan:REST_PORT, with the --rest_api_port of the server",
    ],
    [["--grpc", "faces.lan:8600", "--url", "http://faces.lan:8601"], "--verify --url http://faces.lan:8601"],
  ])("has REST's address where it is known: %j", async (address, end) => {
    const photo = join(await temporaryFolder(), "a.jpg");
    writeFileSync(photo, "");
    const answer = { text: '{"predictions": [[0.9]]}', isError: false, warnings: ["sent whole"] };
    vi.doMock("../../client/request.ts", () => ({ request: async () => answer }));
    vi.spyOn(console, "log").mockImplementation(() => undefined);
    const said: string[] = [];
    vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
    await run(["node", "faceid", "request", photo, photo, ...address]);
    expect(said.at(-1)).toMatch(new RegExp(`finds the faces: .*faceid request \\S+ \\S+ ${end}$`));
  });
});
