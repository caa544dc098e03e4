/** @file Galleries over HTTP with the real pack: the curl commands of docs/service.md as they are, on drawn faces, and a photograph bomb. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodePng } from "../src/image/decode.ts";
import { createGallery, GalleryClient, models, type RunningServer, serve } from "../src/index.ts";
import { drawPhoto } from "../src/synthetic/draw.ts";
import { hugePng } from "./support/huge-png.ts";
import { temporaryFolder } from "./support/photos.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..");
const PACK_FILES = join(ROOT, "../shared/models/opencv");
const isThere = existsSync(PACK_FILES);
const note = isThere ? "" : ` (not tested: there is no ${PACK_FILES})`;
const PACK = "opencv-sface";
const SIDE = 320;

const drawn = async (identity: number, number: number) =>
  await encodePng(
    drawPhoto({ seed: 0, identity, number, difficulty: 0.4 }, { height: SIDE, width: SIDE, channels: 3 }),
    SIDE,
    SIDE,
  );

const commands = readFileSync(join(ROOT, "docs/service.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("curl "));

let folder: string;
let server: RunningServer;
let client: GalleryClient;
let environment: string | undefined;

describe.skipIf(!isThere || process.platform === "win32")(`a gallery over HTTP${note}`, () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    environment = process.env.FACEID_MODELS_DIR;
    process.env.FACEID_MODELS_DIR = join(folder, "models");
    await models.add(PACK, { from: PACK_FILES });
    const people = join(folder, "people");
    await (await createGallery({ gallery: people }))[Symbol.asyncDispose]();
    writeFileSync(join(folder, "ann.png"), await drawn(1, 0));
    writeFileSync(join(folder, "group.png"), await drawn(1, 1));
    server = await serve({
      galleries: { staff: people },
      bindAddress: "127.0.0.1",
      restPort: 0,
      grpcPort: false,
    });
    client = new GalleryClient({ url: `http://127.0.0.1:${server.restPort}`, gallery: "staff" });
  });
  afterAll(async () => {
    await server?.close();
    if (environment === undefined) delete process.env.FACEID_MODELS_DIR;
    else process.env.FACEID_MODELS_DIR = environment;
  });

  it("answers the commands of the documentation", async () => {
    expect(commands.length).toBeGreaterThanOrEqual(7);
    const answers: string[] = [];
    // The server answers in this process, which must not wait.
    for (const command of commands) {
      const asked = command.replaceAll("localhost:8501", `127.0.0.1:${server.restPort}`);
      answers.push((await run("sh", ["-c", asked], { cwd: folder })).stdout);
    }
    const [added, enrolled, identified, several, verified, listed, removed, document] = answers.map((text) =>
      text === "" ? undefined : JSON.parse(text),
    );
    expect(added).toMatchObject({ name: "Ann Lee", consent: { how: "signed form" } });
    expect(enrolled).toMatchObject({ isNew: true, face: { source: "ann.png", hasPhoto: false } });
    expect(identified.faces[0]).toMatchObject({ match: true, candidates: [{ person: "Ann Lee" }] });
    expect(several.photographs).toMatchObject([
      { image: "group.png", faces: [{ match: true }] },
      { image: "ann.png", faces: [{ match: true }] },
    ]);
    expect(verified).toMatchObject({ same: true, person: { name: "Ann Lee" } });
    expect(listed).toMatchObject({ people: [{ name: "Ann Lee", faces: 1 }], next: null });
    expect(removed).toBe(undefined);
    expect(document.openapi).toBe("3.1.0");
  });

  it("has no threshold while nobody is enrolled", async () => {
    const { people, faces } = await client.identify(await drawn(1, 2));
    expect({ people, count: faces.length }).toEqual({ people: 0, count: 1 });
    expect(faces[0]).toMatchObject({ match: false, candidates: [] });
    for (const name of ["threshold", "fpir", "extrapolated"]) expect(faces[0]).not.toHaveProperty(name);
  });

  it("names who is enrolled, nobody else, and refuses what cannot be read", async () => {
    const { id } = await client.addPerson({ name: "One" });
    expect((await client.addFace(id, await drawn(1, 0))).resembles).toBe(null);
    const twin = await client.addPerson({ name: "Other name" });
    expect((await client.addFace(twin.id, await drawn(1, 1))).resembles?.person).toBe("One");
    const known = await client.identify(await drawn(1, 2));
    expect(known.faces[0]).toMatchObject({ match: true });
    const stranger = await client.identify(await drawn(2, 1), { fpir: 0.0001 });
    expect(stranger.faces[0]).toMatchObject({ match: false });
    const grey = await encodePng(new Uint8Array(64 * 64 * 3).fill(90), 64, 64);
    await expect(client.addFace(id, grey)).rejects.toMatchObject({
      httpStatus: 422,
      serverCode: "FACE_NOT_FOUND",
    });
    expect((await client.identify(grey)).faces).toEqual([]);
    for (const file of [hugePng(60_000), Buffer.from("no image"), Buffer.alloc(0)]) {
      const asks = [
        () => client.identify(file),
        () => client.addFace(id, file),
        () => client.verify(id, file),
      ];
      for (const ask of asks) {
        await expect(ask()).rejects.toMatchObject({ httpStatus: 400, serverCode: "IMAGE_UNREADABLE" });
      }
    }
    const { model } = await client.service();
    expect(model).toMatchObject({ name: "faceid", measure: "cosine" });
    expect(model.calibration!.points.map(({ far }) => far)).toContain(0.001);
  });

  it("lets one of many clients win who ask at the same moment, and keeps nothing of an upload that is cut", async () => {
    const people = `http://127.0.0.1:${server.restPort}/v1/galleries/staff/people`;
    const send = (method: string, url: string, body: object, headers: Record<string, string> = {}) =>
      fetch(url, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const many = Array.from({ length: 12 }, (_, i) => i);
    const once = await Promise.all(
      many.map(async () => {
        const answer = await send("POST", people, { name: "Race" }, { "idempotency-key": "race" });
        return `${answer.status} ${((await answer.json()) as { id: string }).id}`;
      }),
    );
    expect(new Set(once).size).toBe(1);
    const id = once[0]!.split(" ")[1]!;
    const without = await Promise.all(many.map(() => send("POST", people, { name: "Other race" })));
    expect(without.map(({ status }) => status).toSorted()).toEqual([201, ...many.slice(1).map(() => 409)]);
    const etag = (await fetch(`${people}/${id}`)).headers.get("etag")!;
    const puts = await Promise.all(
      many.map((i) => send("PUT", `${people}/${id}`, { name: "Race", notes: { i } }, { "if-match": etag })),
    );
    expect(puts.map(({ status }) => status).toSorted()).toEqual([200, ...many.slice(1).map(() => 412)]);
    const image = await drawn(1, 0);
    await Promise.all(
      many.map(async () => {
        const socket = connect(server.restPort!, "127.0.0.1");
        await new Promise((connected) => socket.once("connect", connected));
        const head = `POST /v1/galleries/staff/people/${id}/faces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/png\r\ncontent-length: ${image.length}\r\n\r\n`;
        socket.write(head);
        await new Promise((written) => socket.write(image.subarray(0, image.length >> 1), written));
        socket.destroy();
      }),
    );
    expect((await client.person(id)).person.faces).toBe(0);
  });

  it("is not served beyond this machine without keys", async () => {
    for (const bindAddress of [undefined, "0.0.0.0", "::", "10.0.0.1"]) {
      const options = { galleries: { other: join(folder, "people") }, restPort: 0, grpcPort: false } as const;
      const refused = serve({ ...options, ...(bindAddress === undefined ? {} : { bindAddress }) });
      await expect(refused).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    }
  });
});
