/** @file Pipes and devices in place of files: refused before they are opened, since reading them would never end. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { readCalibrationFile } from "../src/artifact/calibration-file.ts";
import { recognise } from "../src/artifact/recognise.ts";
import { gzippedTarFiles, isZip, zipFiles } from "../src/base/archives.ts";
import { asFaceError, messageOf } from "../src/base/errors.ts";
import { readWhole, requireRegular, requireRegularSync, sha256OfFile } from "../src/base/files.ts";
import { readDotEnv } from "../src/cli/environment.ts";
import { run } from "../src/cli/main.ts";
import { requestRest } from "../src/client/rest.ts";
import { readPairs } from "../src/data/pairs-file.ts";
import { openPostgres } from "../src/gallery/postgres.ts";
import { decodePixels } from "../src/image/decode.ts";
import { importGallery } from "../src/jobs/gallery-import.ts";
import { SSLConfigSchema } from "../src/proto/tensorflow_serving/model_service_pb.ts";
import { readKeyFile } from "../src/serving/access/keys.ts";
import { TokenChecker } from "../src/serving/access/tokens.ts";
import { readTextProto } from "../src/serving/repository/text-proto.ts";
import { readCheckpoint } from "../src/train/checkpoint.ts";
import { temporaryFolder } from "./support/photos.ts";

const folder = await temporaryFolder();
const pipe = join(folder, "pipe.jpg");
const REFUSAL = "it is a pipe or a device, a regular file is wanted";
const HINT = "write its content to a file and name that; pipes, devices and <(…) are not read";

describe.skipIf(process.platform === "win32")("a pipe that nobody writes to", () => {
  execFileSync("mkfifo", [pipe]);
  // Frees whoever waits for a writer, where a test fails.
  afterAll(() => closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)));

  const readers: readonly (readonly [what: string, read: () => Promise<unknown>])[] = [
    ["any file", () => readWhole(pipe)],
    ["a file whose digest is wanted", () => sha256OfFile(pipe)],
    ["a photograph", () => decodePixels(pipe)],
    [
      "a photograph for :verify",
      () => requestRest({ url: "http://127.0.0.1:1", model: "m", verify: {} }, [pipe, pipe]),
    ],
    ["a pairs file", () => readPairs(pipe)],
    ["a checkpoint", () => readCheckpoint(pipe)],
    ["a .env file", async () => readDotEnv(pipe)],
    ["an exported gallery", () => importGallery(join(folder, "people"), pipe)],
    ["an archive", () => isZip(pipe)],
    ["a zip archive", () => zipFiles(pipe).next()],
    ["a tar archive", () => gzippedTarFiles(pipe).next()],
    ["a model", () => recognise(pipe)],
    ["a calibration", () => readCalibrationFile(pipe, { name: "m", digest: "" })],
    ["a configuration of the server", () => readTextProto(SSLConfigSchema, pipe)],
    ["API keys", async () => readKeyFile(pipe)],
  ];
  it.each(readers)("is not %s", async (_, read) => {
    const error: unknown = await read().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(messageOf(error)).toContain(REFUSAL);
    expect(messageOf(error)).not.toContain("EFTYPE");
    expect(asFaceError(error)?.hint).toBeDefined();
  });

  it("is named once where a server or a command reads its configuration", async () => {
    for (const read of [
      () => readCalibrationFile(pipe, { name: "m", digest: "" }),
      () => readTextProto(SSLConfigSchema, pipe),
    ]) {
      await expect(read()).rejects.toMatchObject({ message: `${pipe}: ${REFUSAL}` });
    }
    const keys = { issuer: "i", audience: "a", jwksFile: pipe };
    expect(() => new TokenChecker(keys)).toThrow(`cannot read ${pipe}: ${REFUSAL}`);
  });

  it.each(["sslrootcert", "sslcert", "sslkey"])("is not the %s of a gallery's database", async (name) => {
    const url = `postgres://user@127.0.0.1:1/faces?sslmode=verify-full&${name}=${encodeURIComponent(pipe)}`;
    await expect(openPostgres(url)).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: `${pipe}: ${REFUSAL}`,
      hint: HINT,
    });
  });

  it("is refused by its name, with what to do", () => {
    expect(() => requireRegularSync(pipe)).toThrow(`${pipe}: ${REFUSAL}`);
    const link = join(folder, "link.jpg");
    symlinkSync(pipe, link);
    const error = asFaceError(
      (() => {
        try {
          requireRegularSync(link);
          return undefined;
        } catch (thrown) {
          return thrown;
        }
      })(),
    );
    expect(error).toMatchObject({
      code: "FILE_INVALID",
      message: `${link}: ${REFUSAL}`,
      hint: HINT,
    });
  });

  it.each([
    ["a photograph of request", ["request", pipe, pipe, "--verify"], 3],
    ["a file of a pack", ["models", "add", "opencv-sface", "--from", pipe], 3],
    ["a model to convert", ["convert", pipe, "--onnx", join(folder, "out.onnx")], 8],
  ])("is an error of the command as %s", async (_, args, exit) => {
    const said: string[] = [];
    const exitCode = process.exitCode;
    vi.spyOn(console, "error").mockImplementation((text) => said.push(String(text)));
    const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
    try {
      vi.stubEnv("FACEID_MODELS_DIR", join(folder, "models"));
      await run(["node", "faceid", ...args]);
      expect(process.exitCode).toBe(exit);
    } finally {
      write.mockRestore();
      vi.restoreAllMocks();
      vi.unstubAllEnvs();
      process.exitCode = exitCode;
    }
    expect(said.join("\n")).toContain(REFUSAL);
  });
});

describe.skipIf(process.platform === "win32")("a device", () => {
  it("is refused, but the one that is empty, which is read at once", async () => {
    await expect(requireRegular("/dev/zero")).rejects.toThrow(REFUSAL);
    await expect(decodePixels("/dev/zero")).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: `cannot read /dev/zero: ${REFUSAL}`,
      hint: HINT,
    });
    expect(await readWhole("/dev/null")).toHaveLength(0);
    expect(readDotEnv("/dev/null")).toEqual({});
  });
});

it("lets folders and missing files have the errors of the system", async () => {
  await expect(readWhole(folder)).rejects.toMatchObject({ code: "EISDIR" });
  await expect(readWhole(join(folder, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  const file = join(folder, "file");
  writeFileSync(file, "content");
  expect(String(await readWhole(file))).toBe("content");
});
