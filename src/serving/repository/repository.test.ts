/** @file Versions come and go on disk and in the configuration, and something always answers. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { writeHalfPlusTwo } from "../../../test/support/saved-models.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { ModelServerConfigSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import type { ModelChoice } from "./catalog.ts";
import { savedModelLoader } from "./loader.ts";
import { singleModelConfig } from "./model-config.ts";
import { Repository, type RepositoryOptions } from "./repository.ts";
import { parseTextProto } from "./text-proto.ts";
import { aspiredVersions, nextTransition, type VersionView } from "./version-policy.ts";

function repository(options: Partial<RepositoryOptions> = {}): Repository {
  return new Repository({
    loader: loadProgram,
    log: silentLog,
    pollWaitSeconds: 0.01,
    maxLoadRetries: 0,
    loadRetryIntervalMs: 1,
    loadThreads: 0,
    allowLabelsForUnavailable: false,
    ...options,
  });
}

const config = (text: string) => parseTextProto(ModelServerConfigSchema, text);
const modelText = (folder: ModelFolder, name: string, more = "") =>
  `config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" ${more} }`;
const latest = (name: string) => ({ name, version: { by: "latest" } as const });
const states = (models: Repository, name: string) =>
  models.versions(name).map(({ version, state }) => `${version} ${state}`);

/** The version that answers now. */
function answering(models: Repository, choice: ModelChoice): bigint {
  using lease = models.acquire(choice);
  return lease.servable.version;
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

describe("version policy", () => {
  it("wants the newest, all or the named versions", () => {
    const onDisk = [1n, 10n, 9n];
    expect(aspiredVersions({ kind: "latest", count: 2 }, onDisk)).toEqual([10n, 9n]);
    expect(aspiredVersions({ kind: "all" }, onDisk)).toEqual([10n, 9n, 1n]);
    expect(aspiredVersions({ kind: "specific", versions: [9n, 7n] }, onDisk)).toEqual([9n]);
  });

  it("keeps the old version until a new one is ready", () => {
    const view = (version: bigint, isAspired: boolean, isNew: boolean, isReady: boolean): VersionView => ({
      version,
      isAspired,
      isNew,
      isReady,
    });
    expect(nextTransition([view(1n, false, false, true), view(2n, true, true, false)])).toEqual({
      act: "load",
      version: 2n,
    });
    expect(nextTransition([view(1n, false, false, true), view(2n, true, false, false)])).toBeUndefined();
    expect(nextTransition([view(1n, false, false, true), view(2n, true, false, true)])).toEqual({
      act: "unload",
      version: 1n,
    });
    expect(nextTransition([view(1n, false, false, true)])).toEqual({ act: "unload", version: 1n });
  });
});

describe("repository", () => {
  it("serves the newest version and swaps without a gap; leases keep the old one loaded", async () => {
    await using folder = await modelFolder();
    await folder.add("m", "001", "half_plus_two");
    await using models = repository();
    await models.start(singleModelConfig("m", `${folder.path}/m`));
    const held = models.acquire(latest("m"));
    expect(held.servable.version).toBe(1n);
    await folder.add("m", 2, "half_plus_two");
    await eventually(() => answering(models, latest("m")) === 2n);
    await eventually(() => states(models, "m")[1] === "1 UNLOADING");
    expect(() => models.acquire({ name: "m", version: { by: "version", version: 1n } })).toThrow(
      "Servable not found for request: Specific(m, 1)",
    );
    held[Symbol.dispose]();
    await eventually(() => states(models, "m")[1] === "1 END");
  });

  it("keeps the old version when the new one is broken, and shows why", async () => {
    await using folder = await modelFolder();
    await folder.add("m", 1, "half_plus_two");
    await using models = repository({ maxLoadRetries: 2 });
    await models.start(singleModelConfig("m", `${folder.path}/m`));
    await folder.add("m", 2, "broken");
    await eventually(() => states(models, "m")[0] === "2 END");
    expect(answering(models, latest("m"))).toBe(1n);
    const [failed] = models.versions("m");
    expect(failed?.error).toMatchObject({ status: "DATA_LOSS", message: "the model in version 2 is broken" });
  });

  it("fails to start when a model fails, and names it", async () => {
    await using folder = await modelFolder();
    await folder.add("m", 1, "broken");
    await using models = repository();
    await expect(models.start(singleModelConfig("m", `${folder.path}/m`))).rejects.toThrow(
      "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{name: m version: 1} due to error:",
    );
  });

  it("waits for a folder that is not there yet", async () => {
    await using folder = await modelFolder();
    await using models = repository();
    const started = models.start(singleModelConfig("m", `${folder.path}/m`));
    await delay(30);
    expect(models.versions("m")).toEqual([]);
    await folder.add("m", 3, "half_plus_two");
    await started;
    expect(answering(models, latest("m"))).toBe(3n);
  });

  it("says once what is wrong with a base path and what to do, and again only when that changes", async () => {
    await using folder = await modelFolder();
    const said: string[] = [];
    const log: Log = { ...silentLog, error: (text) => said.push(text), warn: (text) => said.push(text) };
    await using models = repository({ log });
    await mkdir(join(folder.path, "keras"));
    await writeFile(join(folder.path, "keras", "model.h5"), "\x89HDF\r\n\x1a\n".padEnd(600, "x"), "latin1");
    await mkdir(join(folder.path, "empty"));
    void models
      .start(
        config(
          `model_config_list { ${modelText(folder, "keras")} ${modelText(folder, "empty")} ${modelText(folder, "missing")} }`,
        ),
      )
      .catch(() => undefined);
    const of = (name: string) => said.filter((text) => text.includes(`servable ${name} `));
    await eventually(() => said.length >= 3);
    // Many looks later.
    await delay(300);
    expect(said).toHaveLength(3);
    expect(of("keras")[0]).toMatch(/model\.h5 is .*: in Python: /);
    expect(of("empty")[0]).toMatch(/is empty: name a version's folder/);
    expect(of("missing")[0]).toContain(
      `Could not find base path ${folder.path}/missing for servable missing`,
    );
    // What to do about it stands on a line of its own.
    expect(of("missing")[0]).toMatch(/\n {2}\S/);
    await folder.add("missing", 1, "half_plus_two");
    await eventually(() => states(models, "missing").includes("1 AVAILABLE"));
    // At once: a look while the folder is being emptied would rightly say that it is empty.
    await rename(join(folder.path, "missing"), join(folder.path, "gone"));
    await eventually(() => of("missing").length === 2);
    await delay(100);
    expect(said).toHaveLength(4);
  });

  it("answers a reload with what is wrong with a base path, and takes the corrected one", async () => {
    await using folder = await modelFolder();
    await folder.add("good", 1, "half_plus_two");
    await folder.add("empty", "no-number", "half_plus_two");
    await using models = repository();
    await models.start(config(`model_config_list { ${modelText(folder, "good")} }`));
    const list = (...entries: string[]) => config(`model_config_list { ${entries.join(" ")} }`);
    const good = modelText(folder, "good");
    await expect(models.reload(list(good, modelText(folder, "missing")))).rejects.toMatchObject({
      status: "UNKNOWN",
      message: expect.stringContaining(
        "1 servable(s) did not become available: {{{name: missing} due to error: NOT_FOUND: Could not find base path",
      ),
    });
    await expect(models.reload(list(good, modelText(folder, "empty")))).rejects.toThrow(
      "no wanted version of servable empty is under base path",
    );
    const wanted = "model_version_policy { specific { versions: 7 } }";
    const other = modelText(folder, "good", wanted).replace('"good"', '"seven"');
    await expect(models.reload(list(good, other))).rejects.toThrow("no wanted version of servable seven");
    // The same name with a path that is right.
    const corrected = modelText(folder, "good").replace('"good"', '"missing"');
    await models.reload(list(good, corrected));
    expect(answering(models, latest("missing"))).toBe(1n);
    // And one that becomes right by itself.
    await expect(models.reload(list(good, modelText(folder, "later")))).rejects.toThrow("base path");
    await folder.add("later", 4, "half_plus_two");
    await eventually(() => states(models, "later").includes("4 AVAILABLE"));
  });

  it("lets a newer configuration take the place of one that is waited for", async () => {
    await using folder = await modelFolder();
    for (const name of ["good", "other"]) await folder.add(name, 1, "half_plus_two");
    await folder.add("slow", 1, "broken");
    await using models = repository({ maxLoadRetries: 5, loadRetryIntervalMs: 60_000 });
    const list = (...names: string[]) =>
      config(`model_config_list { ${names.map((name) => modelText(folder, name)).join(" ")} }`);
    // A first configuration with a path that is never right does not keep the server from starting with the next.
    const started = models.start(list("good", "missing"));
    await eventually(() => states(models, "good").includes("1 AVAILABLE"));
    await models.reload(list("good", "other"));
    await started;
    const superseded = expect(models.reload(list("good", "other", "slow"))).rejects.toMatchObject({
      status: "ABORTED",
    });
    await eventually(() => states(models, "slow").includes("1 LOADING"));
    await models.reload(list("good"));
    await superseded;
    await eventually(() => states(models, "slow").includes("1 END"));
    expect(answering(models, latest("good"))).toBe(1n);
  });

  it("loads a version that failed from the folder of a corrected base path", async () => {
    await using folder = await modelFolder();
    await folder.add("good", 1, "half_plus_two");
    await folder.add("wrong", 1, "broken");
    for (const maxLoadRetries of [0, 5]) {
      await using models = repository({ maxLoadRetries, loadRetryIntervalMs: 60_000 });
      await models.start(config("model_config_list {}"));
      const at = (name: string) =>
        config(`model_config_list { ${modelText(folder, name).replace(`"${name}"`, '"m"')} }`);
      const first = models.reload(at("wrong")).catch((error: unknown) => error);
      await eventually(() => models.versions("m").some(({ error }) => error !== undefined));
      await models.reload(at("good"));
      await first;
      await eventually(() => states(models, "m").includes("1 AVAILABLE"));
    }
  });

  it("takes one of two folders of a version, versions called v1, and a base path that is a version", async () => {
    await using folder = await modelFolder();
    const said: string[] = [];
    const log: Log = { ...silentLog, warn: (text) => said.push(text) };
    for (const name of ["001", "1", "v2"]) await writeHalfPlusTwo(`${folder.path}/two/${name}`);
    for (const name of ["v1", "v12"]) await writeHalfPlusTwo(`${folder.path}/named/${name}`);
    await writeHalfPlusTwo(`${folder.path}/itself`);
    await writeHalfPlusTwo(`${folder.path}/numbered/7`);
    await writeHalfPlusTwo(`${folder.path}/deep/3/saved_model.pb`);
    await using models = repository({ log, loader: savedModelLoader({ sessions: 1 }) });
    const at = (name: string, path: string) =>
      `config { name: "${name}" base_path: "${folder.path}/${path}" model_platform: "tensorflow" }`;
    await models.start(
      config(
        `model_config_list { ${at("two", "two")} ${at("named", "named")} ${at("itself", "itself")}
         ${at("numbered", "numbered/7")} ${at("deep", "deep")} ${at("file", "itself/saved_model.pb")} }`,
      ),
    );
    const versions = ["two", "named", "itself", "numbered", "deep", "file"].map((name) =>
      states(models, name),
    );
    expect(versions.flat()).toEqual([1, 12, 1, 7, 3, 1].map((version) => `${version} AVAILABLE`));
    const text = said.join("\n");
    expect(text).toContain("Version 1 is taken from 1, 001 means the same version and is left out");
    expect(text).toContain("v2 is left out");
    expect(text).toContain("are taken from its folders v1, v12");
    expect(text).toContain(`${folder.path}/itself is a version itself: serving`);
  });

  it("knows no labels before it knows models", async () => {
    await using models = repository();
    await models.start(config(""));
    const choice = { name: "m", version: { by: "label", label: "stable" } } as const;
    expect(() => models.acquire(choice)).toThrow("Model labels does not init yet.stable");
    await models.reload(config("model_config_list {}"));
    expect(() => models.acquire(choice)).toThrow("Unrecognized servable version label: stable");
  });

  it("replaces the configuration as a whole, waiting for new models", async () => {
    await using folder = await modelFolder();
    for (const name of ["a", "b"]) await folder.add(name, 1, "half_plus_two");
    await folder.add("bad", 1, "broken");
    await using models = repository();
    await models.start(config(`model_config_list { ${modelText(folder, "a")} }`));
    await models.reload(config(`model_config_list { ${modelText(folder, "b")} }`));
    expect(answering(models, latest("b"))).toBe(1n);
    expect(() => models.acquire(latest("a"))).toThrow("Servable not found for request: Latest(a)");
    expect(models.names()).toEqual(["b"]);
    await expect(models.reload(config(`model_config_list { ${modelText(folder, "bad")} }`))).rejects.toThrow(
      "did not become available",
    );
    await expect(models.reload(config(""))).rejects.toThrow("Cannot transition");
    await models.reload(config("model_config_list {}"));
    expect(models.names()).toEqual([]);
  });

  it("points labels only at versions that answer, unless told otherwise", async () => {
    await using folder = await modelFolder();
    for (const version of [1, 2]) await folder.add("m", version, "half_plus_two");
    const all = "model_version_policy { all {} }";
    const labelled = (version: number) =>
      config(
        `model_config_list { ${modelText(folder, "m", `${all} version_labels { key: "stable" value: ${version} }`)} }`,
      );
    await using models = repository();
    await expect(models.start(labelled(1))).rejects.toMatchObject({
      message: expect.stringMatching(
        /Request to assign label to version 1 of model m, which is not currently available for inference$/,
      ),
      hint: expect.stringMatching(
        /^pass --allow_version_labels_for_unavailable_models=true, .*; or .*serve the version first/,
      ),
    });
    await models.reload(config(`model_config_list { ${modelText(folder, "m", all)} }`));
    await eventually(() => states(models, "m").join() === "2 AVAILABLE,1 AVAILABLE");
    await models.reload(labelled(1));
    const stable = { name: "m", version: { by: "label", label: "stable" } } as const;
    expect(answering(models, stable)).toBe(1n);
    // A label that has a version cannot wait for another, whatever the flag says.
    await expect(models.reload(labelled(3))).rejects.toMatchObject({
      message: expect.stringMatching(/not currently available for inference$/),
      hint: "name versions that are loaded: serve the version first, then add its label and reload",
    });
    expect(() => models.acquire({ name: "m", version: { by: "label", label: "x" } })).toThrow(
      "Unrecognized servable version label: x",
    );
  });

  it.each([
    ['config { name: "m" base_path: "/m" }', "Illegal setting neither"],
    ['config { name: "m" base_path: "/m" model_platform: "torch" }', "requests unsupported platform torch"],
    ['config { name: "m" base_path: "m" model_platform: "tensorflow" }', "absolute path or URI"],
    [
      'config { name: "m" base_path: "/m" model_platform: "tensorflow" } config { name: "m" base_path: "/m" model_platform: "tensorflow" }',
      "Illegal to list model m multiple times",
    ],
  ])("refuses the configuration %s", async (text, message) => {
    await using models = repository();
    await expect(models.start(config(`model_config_list { ${text} }`))).rejects.toThrow(message);
  });

  it.each([
    [
      "models/m",
      `write the whole path, such as base_path: ${JSON.stringify(join(process.cwd(), "models/m"))}`,
    ],
    ["", 'add base_path: "/path/to/m", the folder that holds the version folders'],
  ])("says what to write for the base path %j", async (path, hint) => {
    await using models = repository();
    const model = `config { name: "m" base_path: "${path}" model_platform: "tensorflow" }`;
    await expect(models.start(config(`model_config_list { ${model} }`))).rejects.toMatchObject({
      message: expect.stringMatching(/absolute path or URI; got base_path\(\)=(models\/m)?$/),
      hint,
    });
  });
});
