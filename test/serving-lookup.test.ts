/** @file Indices into a table: those outside of it, negative ones among them, are refused as TensorFlow refuses them. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { temporaryFolder } from "./support/photos.ts";
import { writeLookup } from "./support/saved-models.ts";

let server: RunningServer;

beforeAll(async () => {
  const folder = await temporaryFolder();
  await writeLookup(join(folder, "1"));
  server = await startServer({
    models: singleModelConfig("lookup", folder),
    loader: savedModelLoader({ sessions: 1 }),
    log: silentLog,
    grpcPort: undefined,
    restPort: 0,
  });
});

afterAll(() => server.close());

async function ask(indices: readonly number[]): Promise<{ status: number; text: string }> {
  const body = `{"instances": [${indices.join(",")}]}`;
  const response = await fetch(`http://localhost:${server.restPort}/v1/models/lookup:predict`, {
    method: "POST",
    body,
  });
  return { status: response.status, text: await response.text() };
}

it("rows within the table are answered", async () => {
  const { text } = await ask([2, 0]);
  expect(JSON.parse(text)).toEqual({
    predictions: [
      [30, 31],
      [10, 11],
    ],
  });
});

it.each([[[-1]], [[0, -3]], [[3]], [[-9007199254740991]], [[9007199254740991]]])(
  "an index outside of the table is the client's error: %j",
  async (indices) => {
    const { status, text } = await ask(indices);
    expect(status).toBe(400);
    expect(text).not.toMatch(/Gather|Name:|\.cc/);
    expect((await ask([1])).status).toBe(200);
  },
);
