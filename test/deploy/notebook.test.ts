/** @file The notebook for Colab: well-formed, without outputs, and run from its first cell to its last on small drawn data. */
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTools, ROOT, run } from "./tools.ts";

const NOTEBOOK = join(ROOT, "notebooks/train_on_colab.ipynb");
/** The name that the first part of DigiFace-1M has. */
const ARCHIVE = "subjects_0-1999_72_imgs.zip";
const tools = await openTools();

interface Cell {
  readonly id: string;
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly outputs?: readonly unknown[];
}

interface Ran {
  readonly id: string;
  readonly ok: boolean;
  readonly text: string;
  /** Kinds of media of each thing that the cell displayed. */
  readonly shown: readonly (readonly string[])[];
}

/** Serves one file to whoever asks for its name. */
async function mirrorOf(path: string): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url !== `/${basename(path)}`) return response.writeHead(404).end();
    response.writeHead(200, { "content-length": statSync(path).size });
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

describe("the notebook", () => {
  const { cells } = JSON.parse(readFileSync(NOTEBOOK, "utf8")) as { cells: Cell[] };
  const textOf = ({ source }: Cell) => (typeof source === "string" ? source : source.join(""));
  const at = (id: string) => cells.findIndex((cell) => cell.id === id);

  it("is committed without outputs", () => {
    expect(cells.filter(({ outputs = [] }) => outputs.length > 0)).toEqual([]);
  });

  it("shows the licence before it downloads", () => {
    expect(textOf(cells[at("data-title")]!)).toMatch(/non-commercial research only/);
    expect(at("data-title")).toBe(at("download") - 1);
  });
});

describe("the notebook's order", () => {
  it("adapts to one's own people first, then trains from scratch", () => {
    const { cells } = JSON.parse(readFileSync(NOTEBOOK, "utf8")) as { cells: Cell[] };
    const ids = cells.map(({ id }) => id);
    expect(ids.indexOf("adapt")).toBeGreaterThan(ids.indexOf("install"));
    expect(ids.indexOf("adapt")).toBeLessThan(ids.indexOf("provider"));
    expect(ids.indexOf("adapt")).toBeLessThan(ids.indexOf("download"));
  });
});

describe.skipIf("unavailable" in tools || process.platform === "win32")("the notebook's cells", () => {
  if ("unavailable" in tools) return;
  const folder = mkdtempSync(join(tmpdir(), "faceid-notebook-"));
  let server: Server;
  let ran: readonly Ran[];

  beforeAll(async () => {
    const drawn = join(folder, "drawn");
    const faceid = join(ROOT, "bin/faceid.js");
    const people = ["--identities", "24", "--images-per-identity", "4"];
    await run("node", [faceid, "dataset", "synthesize", "--output", drawn, ...people]);
    await tools.run("python", ["-m", "zipfile", "-c", join(folder, ARCHIVE), `${drawn}/`]);
    server = await mirrorOf(join(folder, ARCHIVE));
    const packed = await run("npm", ["pack", "--pack-destination", folder]);
    const environment = {
      PACKAGE: join(folder, packed.stdout.trim().split("\n").at(-1)!),
      MIRROR: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      EPOCHS: "1",
      DATASET_SIZE: "32",
      FACEID_MODEL: "compact",
      FACEID_VALIDATION_PAIRS: "16",
      FACEID_VALIDATION_FRACTION: "0.25",
      FACEID_TEST_FRACTION: "0.25",
      IPYTHONDIR: join(folder, "ipython"),
    };
    const script = join(ROOT, "test/deploy/python/run_notebook.py");
    const { code, stdout, stderr } = await tools.run("python", [script, NOTEBOOK, folder], { environment });
    expect(code, stderr).toBe(0);
    ran = JSON.parse(stdout) as Ran[];
  });
  afterAll(() => {
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const cell = (id: string) => ran.find((one) => one.id === id)!;

  it("all run to their end", () => {
    expect(ran.filter(({ ok }) => !ok)).toEqual([]);
    const { cells } = JSON.parse(readFileSync(NOTEBOOK, "utf8")) as { cells: Cell[] };
    const written = cells.filter(({ cell_type }) => cell_type === "code").map(({ id }) => id);
    expect(ran.map(({ id }) => id)).toEqual(written);
  });

  it("say what is missing where no photographs were uploaded", () => {
    expect(cell("adapt").text).toContain("there is no folder my-photos");
  });

  it("install the package, choose a provider, and fetch the first part", () => {
    expect(cell("install").text).toMatch(/faceid \d+\.\d+\.\d+/);
    expect(cell("provider").text).toMatch(/trains on: (cpu|cuda)/);
    expect(cell("download").text).toMatch(/R-UDA[\s\S]*96 images/);
    expect(cell("preview").shown.flat()).toContain("image/png");
  });

  it("show the measurement inline", () => {
    expect(cell("evaluate").text).toContain("ROC AUC");
    expect(cell("plots").shown.flat()).toContain("text/html");
    expect(readFileSync(join(folder, "report.html"), "utf8")).toContain("<svg");
  });

  it("export a SavedModel and pack it", () => {
    expect(existsSync(join(folder, "models/faceid/1/saved_model.pb"))).toBe(true);
    expect(cell("export").text).toContain("serving_default");
    expect(statSync(join(folder, "saved_model.zip")).size).toBeGreaterThan(100_000);
  });
});
