/** @file A version of which one signature uses known operators in a form that cannot run: said at load and in its status. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { temporaryFolder } from "./support/photos.ts";
import { writeHalfAndCopies } from "./support/saved-models.ts";

let server: RunningServer;
const warned: string[] = [];

beforeAll(async () => {
  const folder = await temporaryFolder();
  await writeHalfAndCopies(join(folder, "1"));
  server = await startServer({
    models: singleModelConfig("half", folder),
    loader: savedModelLoader({ sessions: 1 }),
    log: { ...silentLog, warn: (line) => warned.push(line) },
    grpcPort: undefined,
    restPort: 0,
  });
});

afterAll(() => server.close());

it("names the signature before anybody asks for it, and serves the others", async () => {
  const text = expect.stringMatching(/^(?:.*: )?signature copied cannot run: copies \(Tile\).*not supported/);
  expect(warned).toEqual([text]);
  const url = `http://localhost:${server.restPort}/v1/models/half`;
  expect(await (await fetch(url)).json()).toMatchObject({
    model_version_status: [{ state: "AVAILABLE", status: { error_code: "OK", error_message: text } }],
  });
  const ask = async (body: object) =>
    (await fetch(`${url}:predict`, { method: "POST", body: JSON.stringify(body) })).json();
  expect(await ask({ instances: [[2]] })).toEqual({ predictions: [[3]] });
  const copied = { signature_name: "copied", inputs: { x: [[2]], times: [1, 2] } };
  expect(await ask(copied)).toEqual({
    error: 'The signature "copied" cannot run here; the version\'s status says why.',
  });
});
