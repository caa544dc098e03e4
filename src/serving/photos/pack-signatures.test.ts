/** @file A pack has no signatures; whoever asks for one hears where photographs go. */
import { expect, it } from "vitest";
import { readPredict } from "../json/codec-calls.ts";
import { predict } from "../predict.ts";
import type { Models } from "../repository/catalog.ts";
import { PackServable } from "./pack-catalog.ts";

const INSTEAD = "this model takes photographs, at :verify, :detect and :embed";

it("says so to a predict request over either protocol", async () => {
  const servable = new PackServable({ name: "pack" });
  const models = { acquire: () => ({ servable, [Symbol.dispose]: () => undefined }) } as unknown as Models;
  const call = {
    model: { name: "pack", version: { kind: "latest" } } as never,
    signatureName: "",
    inputs: new Map(),
    outputFilter: [],
  };
  await expect(predict(models, call)).rejects.toThrow(INSTEAD);
  const body = new TextEncoder().encode('{"instances": [[1]]}');
  expect(() => readPredict(body, { signatures: new Map() })).toThrow(INSTEAD);
});
