/** @file Signatures with the same graph run in one session pool, under their own names. */
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { float32, floats } from "../../base/tensor.ts";
import { add, input, mul, sub } from "../../graph/build.ts";
import { SessionPool } from "../../onnx/runtime/session-pool.ts";
import { writeSavedModel } from "../../savedmodel/write/write.ts";
import { savedModelLoader } from "../repository/loader.ts";
import type { Servable } from "./servable.ts";

const ports = (...names: readonly string[]) => names.map((name) => input(name, ["batch", 2]));

async function load(): Promise<Servable> {
  const folder = join(await temporaryFolder(), "1");
  const [a, b, left, right, p, q] = ports("a", "b", "left", "right", "p", "q");
  const signatures = {
    serving_default: { inputs: { a: a!, b: b! }, outputs: { difference: sub(a!, b!) } },
    same: { inputs: { left: left!, right: right! }, outputs: { less: sub(left!, right!) } },
    other: { inputs: { p: p!, q: q! }, outputs: { a: add(mul(p!, p!), q!) } },
  };
  await writeSavedModel(folder, { signatures, parameters: new Map() });
  return await savedModelLoader({ sessions: 1 })(folder, { name: "m", version: 1n });
}

async function answer(model: Servable, signature: string, names: readonly [string, string], output: string) {
  const inputs = new Map([
    [names[0], float32([1, 2], [5, 7])],
    [names[1], float32([1, 2], [1, 2])],
  ]);
  return [...floats((await model.run(signature, inputs, [output])).get(output)!)];
}

describe("session pools", () => {
  afterEach(() => vi.restoreAllMocks());

  it("are shared by signatures that compute the same, each with its own names", async () => {
    const opened = vi.spyOn(SessionPool, "open");
    const model = await load();
    expect(await answer(model, "serving_default", ["a", "b"], "difference")).toEqual([4, 5]);
    expect(await answer(model, "same", ["left", "right"], "less")).toEqual([4, 5]);
    expect(opened).toHaveBeenCalledTimes(1);
    expect(await answer(model, "other", ["p", "q"], "a")).toEqual([26, 51]);
    expect(opened).toHaveBeenCalledTimes(2);
    await model.close();
    await expect(answer(model, "same", ["left", "right"], "less")).rejects.toThrow("closed");
  });

  it("open once for two requests at the same time", async () => {
    const opened = vi.spyOn(SessionPool, "open");
    const model = await load();
    const answers = await Promise.all([
      answer(model, "same", ["left", "right"], "less"),
      answer(model, "serving_default", ["a", "b"], "difference"),
    ]);
    expect(answers).toEqual([
      [4, 5],
      [4, 5],
    ]);
    expect(opened).toHaveBeenCalledTimes(1);
    await model.close();
  });
});
