/** @file Optimised networks on disk: the same bits as others, taken where they are whole and fit this processor, made again otherwise. */
import { readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { noiseFrom } from "../../test/support/like-evaluation.ts";
import { temporaryFolder } from "../../test/support/photos.ts";
import { Random } from "../base/random.ts";
import { floats } from "../base/tensor.ts";
import { add, conv2d, flatten, input, matmul, parameter, relu } from "../graph/build.ts";
import { lower } from "../onnx/lower/lower.ts";
import { BLOCKED, ModelBuilder } from "../onnx/lower/model-builder.ts";
import { openRuntime, type RuntimeSession } from "../onnx/runtime/runtime.ts";
import { BLOCKS_MODEL, openReady } from "./ready-network.ts";

const noise = noiseFrom(new Random(11));
const image = input("x", ["batch", 12, 12, 3]);
const convolved = relu(conv2d(image, parameter("kernel", [3, 3, 3, 32])));
const dense = matmul(flatten(convolved), parameter("dense", [144 * 32, 16]));
const frozen = new Map([
  ["kernel", noise([3, 3, 3, 32])],
  ["dense", noise([144 * 32, 16])],
]);
const { bytes: NETWORK } = lower({ outputs: { y: add(dense, 1) } }, { frozen });
const FILE = new Uint8Array([1, 2, 3]);
const inputs = new Map([["x", noise([2, 12, 12, 3])]]);

async function answerOf(session: RuntimeSession): Promise<number[]> {
  const y = floats((await session.run(inputs)).get("y")!);
  await session.close();
  return [...y];
}

const expected = await answerOf(await openRuntime(NETWORK));

describe.skipIf(process.platform !== "linux")("optimised networks", () => {
  async function setUp() {
    const folder = await temporaryFolder();
    const make = vi.fn(() => NETWORK);
    const open = (threads = 1) => openReady("net", FILE, make, { folder, threads });
    const first = await answerOf(await open());
    const [name = ""] = readdirSync(join(folder, "networks"));
    return { folder, make, open, first, path: join(folder, "networks", name) };
  }

  it("are made once, and give the bits of others at any number of threads", async () => {
    const { make, open, first, path } = await setUp();
    expect(path).toMatch(/net-[0-9a-f]{16}-[0-9a-f]{8}\.ort$/);
    for (const answer of [first, await answerOf(await open()), await answerOf(await open(3))]) {
      expect(answer).toEqual(expected);
    }
    expect(make).toHaveBeenCalledTimes(1);
  });

  it("go on as they are when somebody changes, cuts off or removes what was kept", async () => {
    const { open, path } = await setUp();
    const sessions = [await open(), await open(), await open()];
    const whole = readFileSync(path);
    writeFileSync(path, Buffer.alloc(whole.length));
    expect(await answerOf(sessions[0]!)).toEqual(expected);
    truncateSync(path, 0);
    expect(await answerOf(sessions[1]!)).toEqual(expected);
    rmSync(path);
    expect(await answerOf(sessions[2]!)).toEqual(expected);
  });

  it("leave nothing but themselves", async () => {
    const { folder } = await setUp();
    expect(readdirSync(folder, { recursive: true }).toSorted()).toEqual([
      "networks",
      expect.stringMatching(/^networks.net-[0-9a-f]{16}-[0-9a-f]{8}\.ort$/),
    ]);
  });

  it.each<[string, (content: Buffer) => Buffer]>([
    ["a changed byte", (content) => content.fill(content[700]! ^ 1, 700, 701)],
    ["a changed checksum", (content) => content.fill("9", content.length - 20, content.length - 1)],
    ["a lost end", (content) => content.subarray(0, -1)],
    ["a lost beginning", (content) => content.subarray(1)],
    ["nothing but a label", (content) => content.subarray(-256)],
    ["nothing in it", () => Buffer.alloc(0)],
    [
      "another processor's blocks",
      (content) => Buffer.from(content.toString("latin1").replace(/ blocks \d+ /, " blocks 5 "), "latin1"),
    ],
  ])("with %s are made again", async (_, damage) => {
    const { make, open, path } = await setUp();
    const whole = readFileSync(path);
    writeFileSync(path, damage(Buffer.from(whole)));
    expect(await answerOf(await open())).toEqual(expected);
    expect(await answerOf(await open())).toEqual(expected);
    expect(make).toHaveBeenCalledTimes(2);
  });

  it("neither are followed through a link, nor read where they are far too large", async () => {
    const { make, open, path } = await setUp();
    const whole = readFileSync(path);
    truncateSync(path, 2 ** 30);
    expect(await answerOf(await open())).toEqual(expected);
    rmSync(path);
    writeFileSync(`${path}-elsewhere`, whole);
    symlinkSync(`${path}-elsewhere`, path);
    expect(await answerOf(await open())).toEqual(expected);
    expect(make).toHaveBeenCalledTimes(3);
  });

  it("are not needed: a folder that cannot be made is no error", async () => {
    const { path } = await setUp();
    const make = vi.fn(() => NETWORK);
    expect(await answerOf(await openReady("net", FILE, make, { folder: path }))).toEqual(expected);
    expect(make).toHaveBeenCalledTimes(1);
    vi.stubEnv("TMPDIR", join(path, "missing"));
    expect(await answerOf(await openReady("net", FILE, make, { folder: path }))).toEqual(expected);
    vi.unstubAllEnvs();
  });

  it.runIf(process.platform === "linux")("are not needed: nor is one that takes no folders", async () => {
    const make = vi.fn(() => NETWORK);
    expect(await answerOf(await openReady("net", FILE, make, { folder: "/proc/faceid" }))).toEqual(expected);
    expect(make).toHaveBeenCalledTimes(1);
  });

  it("are not made of what cannot be lowered or run", async () => {
    const folder = await temporaryFolder();
    const refuse = () => {
      throw new RangeError("no network");
    };
    await expect(openReady("net", FILE, refuse, { folder })).rejects.toThrow("no network");
    const broken = () => new Uint8Array([1, 2, 3]);
    await expect(openReady("net", FILE, broken, { folder })).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
    });
    const names = readdirSync(folder, { recursive: true });
    expect(names).not.toContainEqual(expect.stringMatching(/\.ort$/));
  });

  it("tell processors apart by a model that this builder makes", () => {
    const model = new ModelBuilder();
    const shape = [1, 64, 1, 2];
    const y = model.node("ReorderInput", [model.input("x", "float32", shape)], { domain: BLOCKED });
    model.output("y", y, "float32", shape);
    expect(Buffer.from(model.bytes("blocks")).toString("base64")).toBe(BLOCKS_MODEL);
  });
});
