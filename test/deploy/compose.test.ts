/** @file The compose files: held against the compose specification, and read by Docker Compose itself. */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { OTHER_NAMES } from "../../src/cli/environment.ts";
import { variableOf } from "../../src/cli/options.ts";
import { EVERY_SETTING } from "../../src/cli/settings.ts";
import { openTools, ROOT } from "./tools.ts";

const GPU = "deploy/compose/train.gpu.yml";
const FILES = [
  "docker-compose.yml",
  "docker-compose.train.yml",
  "deploy/compose/serve.yml",
  "deploy/compose/train.yml",
  GPU,
];
const tools = await openTools();

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly host_ip?: string;
    readonly target: number;
    readonly published: string;
  }[];
  readonly volumes: readonly {
    readonly source: string;
    readonly target: string;
    readonly read_only?: boolean;
  }[];
  readonly build?: { readonly target?: string };
  readonly deploy?: unknown;
}

describe.skipIf("unavailable" in tools)("Docker Compose", () => {
  if ("unavailable" in tools) return;
  const folder = mkdtempSync(join(tmpdir(), "faceid-compose-"));
  for (const file of FILES) cpSync(join(ROOT, file), join(folder, file));
  copyFileSync(join(ROOT, ".env.example"), join(folder, ".env"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const compose = (args: readonly string[], environment: Record<string, string> = {}) =>
    tools.run("docker-compose", args, { folder, environment });
  const services = async (args: readonly string[], environment: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await compose([...args, "config", "--format", "json"], environment);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return (JSON.parse(stdout) as { services: Record<string, Service> }).services;
  };

  it.each(FILES)("%s keeps the specification's schema", async (file) => {
    const schema = ["--builtin-schema", "vendor.compose-spec"];
    const { code, stdout } = await tools.run("check-jsonschema", [...schema, file]);
    expect(code, stdout).toBe(0);
  });

  it("starts one server at a time, on the same ports, with the same folder", async () => {
    const ours = await services([]);
    const theirs = await services(["--profile", "tensorflow-serving"]);
    expect(Object.keys(ours)).toEqual(["faceid"]);
    expect(Object.keys(theirs)).toEqual(["tensorflow-serving"]);
    const [one, other] = [ours.faceid!, theirs["tensorflow-serving"]!];
    expect(one.ports?.map(({ published, target }) => `${published}:${target}`)).toEqual([
      "8500:8500",
      "8501:8501",
    ]);
    expect(other.ports).toEqual(one.ports);
    expect(other.volumes).toEqual(one.volumes);
    expect(one.read_only).toBe(true);
    expect(one.volumes[0]).toMatchObject({ target: "/models/faceid", read_only: true });
  });

  it("has PostgreSQL with pgvector for galleries, open to this machine only", async () => {
    const found = await services(["--profile", "gallery-database"], { POSTGRES_PASSWORD: "secret" });
    expect(Object.keys(found)).toEqual(["gallery-database"]);
    const database = found["gallery-database"]!;
    expect(database.image).toMatch(/^pgvector\/pgvector:[\d.]+-pg\d+$/);
    expect(database.ports).toMatchObject([{ host_ip: "127.0.0.1", published: "5432", target: 5432 }]);
    expect(database.environment).toMatchObject({ POSTGRES_PASSWORD: "secret" });
    expect(database.volumes).toMatchObject([{ source: "galleries", target: "/var/lib/postgresql" }]);
  });

  it("serves under the name of the settings", async () => {
    const { faceid } = await services([], { MODEL_NAME: "doorbell", SAVED_MODEL_PATH: "/srv/doorbell" });
    expect(faceid!.command).toContain("--model_name=doorbell");
    expect(faceid!.volumes[0]).toMatchObject({ source: "/srv/doorbell", target: "/models/doorbell" });
  });

  it("trains on the host's folder into the host's folder", async () => {
    const given = { DATASET_PATH: "/data/people", SAVED_MODEL_PATH: "/srv/models", CONTAINER_USER: "7:8" };
    const { train } = await services(["-f", "docker-compose.train.yml"], given);
    const mounts = new Map(train!.volumes.map((volume) => [volume.target, volume]));
    expect(mounts.get("/dataset")).toMatchObject({ source: "/data/people", read_only: true });
    expect(mounts.get("/models")).toMatchObject({ source: "/srv/models" });
    expect(train!.environment).toMatchObject({ DATASET_PATH: "/dataset", SAVED_MODEL_PATH: "/models" });
    expect(train!.user).toBe("7:8");
    expect(train!.read_only).toBe(true);
  });

  it("asks for a graphics card in the variant for one", async () => {
    const files = ["-f", "docker-compose.train.yml", "-f", GPU];
    const { train } = await services(files);
    expect(train!.build?.target).toBe("gpu");
    expect(train!.environment).toMatchObject({ FACEID_PROVIDER: "cuda" });
    expect(JSON.stringify(train!.deploy)).toContain('"capabilities":["gpu"]');
  });

  it.each([
    { line: "COMPOSE_PROFILES", file: "docker-compose.yml", says: "copy .env.example to .env" },
    { line: "DATASET_PATH", file: "docker-compose.train.yml", says: "set it to the folder of photographs" },
  ])("says what to do when $line is missing", async ({ line, file, says }) => {
    const settings = readFileSync(join(ROOT, ".env.example"), "utf8");
    writeFileSync(join(folder, "other.env"), settings.replace(new RegExp(`^${line}=.*$`, "m"), ""));
    const { code, stderr } = await compose(["--env-file", "other.env", "-f", file, "config"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(says);
  });
});

describe(".env.example", () => {
  it("names only settings that exist, the commented ones too", () => {
    const text = readFileSync(join(ROOT, ".env.example"), "utf8");
    const everyLine = parseEnv(text.replaceAll(/^#(?=[A-Z_]+=)/gm, ""));
    const known = new Set([
      ...EVERY_SETTING.map(variableOf),
      ...OTHER_NAMES,
      "COMPOSE_PROFILES",
      "CONTAINER_USER",
    ]);
    expect(Object.keys(everyLine).filter((name) => !known.has(name))).toEqual([]);
    for (const name of ["DATASET_PATH", "SAVED_MODEL_PATH", "MODEL_NAME", "MODEL_VERSION", "BATCH_SIZE"]) {
      expect(everyLine).toHaveProperty(name);
    }
  });
});
