/** @file The line that starts a server for a request that found none. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { hostAndPort, startLine, type Unanswered } from "./start-line.ts";

const PLACE = { host: "localhost", port: 8501, interface: "REST", model: "faceid", verify: false } as const;
const line = (change: Partial<Unanswered> = {}) => startLine({ ...PLACE, ...change });

describe("the line that starts a server", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("has the port that was asked, and the pack under the name that was asked", () => {
    expect(line()).toBe("faceid serve --pack opencv-sface --model_name faceid --rest_api_port 8501");
    expect(line({ model: "opencv-sface-int8", host: "127.0.0.1", port: 9000 })).toBe(
      "faceid serve --pack opencv-sface-int8 --rest_api_port 9000",
    );
  });

  it("turns gRPC off where REST takes its port", () => {
    expect(line({ port: 8500 })).toMatch(/ --rest_api_port 8500 --port 0$/);
  });

  it("has the model of this repository for gRPC, which a pack does not answer", () => {
    expect(line({ interface: "gRPC", port: 8600 })).toMatch(
      /^faceid serve --model_name faceid --model_base_path \S*models\/default --port 8600$/,
    );
  });

  it("has the user's own model of that name, with a detector where faces are looked for", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "models/mine/1"), { recursive: true });
    const before = process.cwd();
    process.chdir(folder);
    try {
      const served = "faceid serve --model_name mine --model_base_path models/mine";
      expect(line({ model: "mine" })).toBe(`${served} --rest_api_port 8501`);
      expect(line({ model: "mine", verify: true })).toBe(
        `${served} --pack opencv-sface --rest_api_port 8501`,
      );
      expect(line({ model: "other" })).toContain("--pack opencv-sface --model_name other");
    } finally {
      process.chdir(before);
    }
  });

  it("is none for another machine, nor for a name that a shell takes apart", () => {
    for (const host of ["example.org", "10.0.0.1", "localhost.example.org"])
      expect(line({ host })).toBeUndefined();
    for (const model of ["my model", "..", "$(true)"]) expect(line({ model })).toBeUndefined();
  });
});

it("reads the host and port of an address of gRPC", () => {
  expect(hostAndPort("localhost:8500")).toEqual({ host: "localhost", port: 8500 });
  expect(hostAndPort("[::1]:8500")).toEqual({ host: "[::1]", port: 8500 });
  expect(hostAndPort("dns:///localhost:8600")).toEqual({ host: "localhost", port: 8600 });
  for (const other of ["unix:/run/faceid.sock", "localhost"]) expect(hostAndPort(other)).toBeUndefined();
});
