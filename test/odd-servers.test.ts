/** @file The clients at servers that answer what no server of the protocol answers: wrong predictions, texts without end, other programs. */
import { writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcp, type Socket } from "node:net";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, describe, expect, it, vi } from "vitest";
import { run } from "../src/cli/main.ts";
import { GalleryClient } from "../src/client/gallery-client.ts";
import { request } from "../src/client/request.ts";
import { encodePng } from "../src/image/decode.ts";
import { DataType, type TensorProtoSchema } from "../src/proto/tensorflow/tensor_pb.ts";
import {
  GetModelMetadataResponseSchema,
  PredictResponseSchema,
  SignatureDefMapSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { temporaryFolder } from "./support/photos.ts";

const photo = join(await temporaryFolder(), "a.png");
const stripes = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (Math.floor(i / 12) % 2) * 255);
writeFileSync(photo, await encodePng(stripes, 8, 8));
const images = [photo, photo] as const;

const restInputs = (sides: readonly unknown[]) => {
  const input = { tensor_shape: { dim: sides.map((size) => ({ size })) } };
  return { anchor_img: input, verification_img: input };
};
const metadataText = (sides: readonly unknown[]) =>
  JSON.stringify({
    metadata: { signature_def: { signature_def: { serving_default: { inputs: restInputs(sides) } } } },
  });
const PLAIN_METADATA = metadataText(["-1", "8", "8", "3"]);

type Reply = (answer: ServerResponse) => void;
const sends =
  (text: string, status = 200, type = "application/json"): Reply =>
  (answer) => {
    answer.writeHead(status, { "content-type": type }).end(text);
  };
let metadata = sends(PLAIN_METADATA);
let reply = sends("");

const server = createServer((incoming, answer) => {
  incoming.resume().on("end", () => (incoming.url?.endsWith("/metadata") ? metadata : reply)(answer));
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const asked = async (target: object = {}) => await request({ url, ...target }, images);
/** The error of an answer, which is `{"error": "…"}` and nothing else. */
async function errorOf(target: object = {}): Promise<string> {
  const answer = await asked(target);
  expect(answer).toMatchObject({ isError: true });
  expect(answer).not.toHaveProperty("probability");
  expect(answer).not.toHaveProperty("same");
  return JSON.parse(answer.text).error;
}

const MIB = 2 ** 20;
/** Sends pieces until the client leaves. */
const withoutEnd =
  (begin: string, status: number): Reply =>
  (answer) => {
    answer.writeHead(status, { "content-type": "application/json" });
    answer.write(begin);
    const piece = "x".repeat(MIB);
    const more = () => {
      while (!answer.destroyed && answer.write(piece));
    };
    answer.on("drain", more);
    more();
  };

describe("request over REST", () => {
  it.each([
    '{"predictions": [[null]]}',
    '{"predictions": [[7.5]]}',
    '{"predictions": [[-0.1]]}',
    '{"predictions": [[NaN]]}',
    '{"predictions": [["0.5"]]}',
    '{"predictions": [[0.5], [0.6]]}',
    '{"predictions": [[0.5, 0.6]]}',
    '{"predictions": [0.5]}',
    '{"predictions": []}',
    '{"predictions": 0.5}',
    '{"predictions": [{"classifier": [0.5]}]}',
    '{"outputs": [[0.5]]}',
    '{"same": true, "similarity": 0.5}',
    '{"predictions": [[0.5]',
    "[[0.5]]",
    "{}",
  ])("says that %s is no prediction", async (text) => {
    reply = sends(text);
    expect(await errorOf()).toBe(
      `the answer is no prediction: got ${text}, expected {"predictions": [[p]]} with one number p from 0 to 1`,
    );
  });

  it.each([0, 1, 0.25])("takes %d", async (value) => {
    reply = sends(`{\n  "predictions": [\n    [${value}\n]\n]\n}`);
    expect(await asked()).toEqual({
      text: `{"predictions": [[${value}]]}`,
      isError: false,
      probability: value,
    });
  });

  it.each([
    '{"similarity": 7.5, "same": true}',
    '{"similarity": null}',
    '{"same": true}',
    '{"similarity": 0.5, "same": "yes"}',
    '{"predictions": [[0.5]]}',
  ])("says that %s is no verification", async (text) => {
    reply = sends(text);
    expect(await errorOf({ verify: {} })).toBe(
      `the answer is no prediction: got ${text}, expected {"similarity": s} with s from -1 to 1, and "same" as true or false where it decides`,
    );
  });

  it("repeats the error of a server, and says the status of what is none", async () => {
    reply = sends('{ "error": "no such tensor", "code": "X" }', 400);
    expect(await asked()).toEqual({ text: '{"error": "no such tensor", "code": "X"}', isError: true });
    for (const text of ['{"detail": "Not Found"}', '{"predictions": [[0.5]]}', '{"error": {"a": 1}}', "[]"]) {
      reply = sends(text, 500);
      expect(await errorOf()).toBe(`the server answered with status 500: ${text}`);
    }
    reply = sends("<html>", 502, "text/html");
    await expect(asked()).rejects.toMatchObject({
      code: "SERVER_ERROR",
      message: `${url} answered with status 502 and no JSON`,
    });
    reply = sends('"0.5"');
    await expect(asked()).rejects.toMatchObject({ code: "SERVER_ERROR" });
  });

  it("cuts a long error, and reads 1 MB of one without an end", async () => {
    reply = sends(JSON.stringify({ error: "e\\".repeat(100_000) }), 400);
    const long = await errorOf();
    expect(long.length).toBeLessThan(17_000);
    expect(long).toMatch(/^e\\e\\.*… \(200,000 characters\)$/s);
    for (const begin of ['{"error": "', '{"predictions": [[0.5]], "more": "']) {
      reply = withoutEnd(begin, 500);
      const cut = await errorOf();
      expect(cut.length).toBeLessThan(300);
      expect(cut).toMatch(/^the server answered with status 500: \{.*… \(more than 1 MB\)$/);
    }
    reply = withoutEnd('{"predictions": [[0.5]], "more": "', 200);
    expect(await errorOf()).toMatch(/^the answer is no prediction: got .*… \(more than 1 MB\), expected/);
    reply = withoutEnd("<html>", 200);
    await expect(asked()).rejects.toMatchObject({
      message: `${url} answered with status 200, more than 1 MB and no JSON`,
    });
    reply = sends(`{"predictions": [[0.5]], "more": "${"x".repeat(20_000)}"}`);
    expect(await errorOf()).toMatch(/^the answer is no prediction: got .{200}… \(20,0\d\d characters\)/);
  });

  it("refuses metadata that describe no image, or one too large to be sent", async () => {
    const refused = async (text: string) => {
      metadata = sends(text);
      try {
        return await asked().then(
          () => "no error",
          ({ code, message }) => `${code}: ${message}`,
        );
      } finally {
        metadata = sends(PLAIN_METADATA);
      }
    };
    expect(await refused(metadataText(["-1", "4000000000", "4000000000", "3"]))).toBe(
      "SERVER_ERROR: faceid takes images of 4000000000x4000000000 pixels as anchor_img, at most 1024 a side are sent",
    );
    for (const sides of [
      ["-1", "8.5", "8", "3"],
      ["-1", "-8", "8", "3"],
      ["-1", "8", "8", "4"],
    ]) {
      expect(await refused(metadataText(sides))).toContain(
        "SERVER_ERROR: faceid does not compare two images",
      );
    }
    const none = { metadata: { signature_def: { signature_def: { serving_default: { inputs: {} } } } } };
    expect(await refused(JSON.stringify(none))).toContain("it takes no tensors");
    const inputs = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`input_${i}`, restInputs(["-1"]).anchor_img]),
    );
    const many = { metadata: { signature_def: { signature_def: { serving_default: { inputs } } } } };
    const listed = await refused(JSON.stringify(many));
    expect(listed).toContain("and 4992 more");
    expect(listed.length).toBeLessThan(1500);
    for (const text of ["<html>", "[]", '{"metadata": {}}', ""]) {
      expect(await refused(text)).toBe(
        `SERVER_ERROR: the metadata of faceid are not those of a model: got ${text || "nothing"}`,
      );
    }
    expect(await refused(`{"metadata": "${"x".repeat(2 * MIB)}"}`)).toBe(
      "SERVER_ERROR: the metadata of faceid are not those of a model: got more than 1 MB",
    );
  });

  it("is an error of the command too, printed without characters that move the cursor", async () => {
    reply = sends('{"predictions": [["\u009b2J"]]}');
    const out: string[] = [];
    const exitCode = process.exitCode;
    vi.spyOn(console, "log").mockImplementation((text) => out.push(String(text)));
    try {
      await run(["node", "faceid", "request", photo, photo, "--url", url]);
      expect(process.exitCode).toBe(9);
      expect(out).toHaveLength(1);
      expect(out[0]).toMatch(/^\{"error": "the answer is no prediction: got .*\\u009b2J/);
      expect(JSON.parse(out[0]!).error).toContain("\u009b2J");
    } finally {
      vi.restoreAllMocks();
      process.exitCode = exitCode;
    }
  });
});

type Outputs = Record<string, MessageInitShape<typeof TensorProtoSchema>>;
const tensor = (values: readonly number[], sides: readonly number[] = [1, 1], dtype = DataType.DT_FLOAT) => ({
  dtype,
  tensorShape: { dim: sides.map((size) => ({ size: BigInt(size) })) },
  floatVal: [...values],
});

describe("request over gRPC", async () => {
  let outputs: Outputs | Buffer = {};
  let described: Buffer | undefined;
  const input = { ...tensor([], [-1, 8, 8, 3]), floatVal: undefined };
  const signatures = (inputs = { anchor_img: input, verification_img: input }) =>
    create(SignatureDefMapSchema, { signatureDef: { serving_default: { inputs } } } as never);
  const metadataBytes = () =>
    Buffer.from(
      toBinary(
        GetModelMetadataResponseSchema,
        create(GetModelMetadataResponseSchema, {
          metadata: { signature_def: anyPack(SignatureDefMapSchema, signatures()) },
        }),
      ),
    );
  const rpc = new Server({ "grpc.max_receive_message_length": -1 });
  const identity = (bytes: Buffer) => bytes;
  const method = (name: string, answer: () => Buffer) => ({
    definition: {
      path: `/tensorflow.serving.PredictionService/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
    handle: (_: unknown, done: (error: null, bytes: Buffer) => void) => done(null, answer()),
  });
  const methods = {
    getModelMetadata: method("GetModelMetadata", () => described ?? metadataBytes()),
    predict: method("Predict", () =>
      Buffer.isBuffer(outputs)
        ? outputs
        : Buffer.from(toBinary(PredictResponseSchema, create(PredictResponseSchema, { outputs }))),
    ),
  };
  rpc.addService(
    Object.fromEntries(Object.entries(methods).map(([name, { definition }]) => [name, definition])),
    Object.fromEntries(Object.entries(methods).map(([name, { handle }]) => [name, handle])) as never,
  );
  const port = await new Promise<number>((done, fail) =>
    rpc.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : fail(error),
    ),
  );
  afterAll(() => rpc.forceShutdown());
  const target = { url: undefined, address: `127.0.0.1:${port}` };

  it.each<readonly [got: string, outputs: Outputs]>([
    ["c, DT_FLOAT, [1, 1], NaN", { c: tensor([Number.NaN]) }],
    ["c, DT_FLOAT, [1, 1], 7.5", { c: tensor([7.5]) }],
    ["c, DT_FLOAT, [1, 1], -1", { c: tensor([-1]) }],
    ["c, DT_FLOAT, [1, 1], Infinity", { c: tensor([Number.POSITIVE_INFINITY]) }],
    ["c, DT_FLOAT, [2, 1] with 2 numbers", { c: tensor([0.5, 0.6], [2, 1]) }],
    ["c, DT_FLOAT, [1] with 1 number", { c: tensor([0.5], [1]) }],
    ["c, DT_FLOAT, [1, 1] with 0 numbers", { c: tensor([]) }],
    ["c, DT_FLOAT, [1, 1] with 0 numbers", { c: { ...tensor([]), tensorContent: new Uint8Array(5) } }],
    ["c, DT_INT32, [1, 1] with 1 number", { c: tensor([0.5], [1, 1], DataType.DT_INT32) }],
    ["2 outputs (c, d)", { c: tensor([0.5]), d: tensor([0.5]) }],
    ["0 outputs", {}],
  ])("says that it got %s", async (got, given) => {
    outputs = given;
    expect(await errorOf(target)).toBe(
      `the answer is no prediction: got ${got}, expected one output of DT_FLOAT, [1, 1], with a number from 0 to 1`,
    );
  });

  it("takes a number in either encoding", async () => {
    const answer = { text: '{"predictions": [[0.5]]}', isError: false, probability: 0.5 };
    outputs = { c: tensor([0.5]) };
    expect(await asked(target)).toEqual(answer);
    outputs = { c: { ...tensor([]), tensorContent: new Uint8Array(Float32Array.of(0.5).buffer) } };
    expect(await asked(target)).toEqual(answer);
  });

  it("says of a long answer and of damaged ones what they are", async () => {
    outputs = Buffer.alloc(2 * MIB);
    expect(await errorOf(target)).toMatch(/^the server's answer has more than 1 MB/);
    outputs = Buffer.from([0xff, 0xff, 0xff]);
    expect(await errorOf(target)).toMatch(/parsing error/);
    described = Buffer.from(
      toBinary(
        GetModelMetadataResponseSchema,
        create(GetModelMetadataResponseSchema, {
          metadata: {
            signature_def: {
              ...anyPack(SignatureDefMapSchema, signatures()),
              value: Uint8Array.of(0xff, 0xff),
            },
          },
        }),
      ),
    );
    await expect(asked(target)).rejects.toMatchObject({
      code: "SERVER_ERROR",
      message: expect.stringMatching(/^the metadata of faceid are not those of a model: /),
    });
    described = undefined;
  });
});

describe("the client of galleries", () => {
  const client = new GalleryClient({ url, gallery: "staff" });
  const PERSON = {
    id: "1",
    name: "Ann",
    notes: {},
    consent: null,
    expiresAt: null,
    version: 1,
    createdAt: "",
    updatedAt: "",
    faces: 0,
  };
  const unlike = (what: string | RegExp) => ({
    code: "SERVER_ERROR",
    message: expect.stringMatching(what),
    hint: expect.stringContaining("faceid serve --gallery"),
  });

  it("takes what a gallery answers, also with fields of a newer one", async () => {
    reply = sends(JSON.stringify({ people: [{ ...PERSON, more: 1 }], next: null }));
    expect((await client.people()).people[0]!.name).toBe("Ann");
  });

  it.each([
    ["<html>", "<html>: it is no JSON"],
    ["null", "null: it is no object"],
    ["{}", "{}: people is no list of objects"],
    ['{"people": [], "next": 5}', "next is no text or null"],
    ['{"people": [null], "next": null}', "people\\[0\\] is no object"],
    [
      JSON.stringify({ people: [PERSON, { ...PERSON, name: 5 }], next: null }),
      "people\\[1\\]\\.name is no text",
    ],
  ])("says that %s is no page of people", async (text, what) => {
    reply = sends(text);
    await expect(client.people()).rejects.toMatchObject(unlike(`^the answer of .* status 200, .*${what}$`));
  });

  it("checks every other answer", async () => {
    reply = sends("{}");
    const calls = [
      () => client.service(),
      () => client.galleries(),
      () => client.gallery(),
      () => client.addPerson({ name: "Ann" }),
      () => client.person("Ann"),
      () => client.replacePerson("Ann", { name: "Ann" }),
      () => client.mergePerson("Ann", "Eve"),
      () => client.verify("Ann", stripes),
      () => client.faces("Ann"),
      () => client.addFace("Ann", stripes),
      () => client.identify(stripes),
      () => client.identifyPhotos([stripes]),
      () => client.events(),
      () => client.exportPerson("Ann"),
      () => client.photo("Ann", "1"),
      () => client.removePerson("Ann"),
      () => client.removeFace("Ann", "1"),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject(
        unlike(/^the answer of .* is not that of a gallery: status 200/),
      );
    }
  });

  it("repeats a refusal, cut where it is long, and says the status of what is none", async () => {
    reply = sends('{"error": {"code": "PERSON_NOT_FOUND", "message": "nobody", "hint": 5}}', 404);
    await expect(client.gallery()).rejects.toMatchObject({
      serverCode: "PERSON_NOT_FOUND",
      message: "nobody",
      hint: undefined,
    });
    for (const text of ['{"error": {}}', '{"error": {"message": {}}}', "<html>", "null", '{"error": null}']) {
      reply = sends(text, 500);
      await expect(client.gallery()).rejects.toMatchObject({
        httpStatus: 500,
        serverCode: "UNKNOWN",
        message: "the server answered 500 Internal Server Error",
      });
    }
    reply = sends(JSON.stringify({ error: { code: "X", message: "m".repeat(50_000) } }), 500);
    const long: unknown = await client.gallery().catch((error: unknown) => error);
    expect((long as Error).message.length).toBeLessThan(8300);
    reply = withoutEnd('{"error": "', 500);
    await expect(client.gallery()).rejects.toMatchObject({ serverCode: "UNKNOWN" });
  });

  it("says where the connection breaks in an answer", async () => {
    reply = (answer) => {
      answer.writeHead(200, { "content-length": "1000" }).write('{"people"');
      answer.socket?.destroySoon();
    };
    const message = expect.stringMatching(/^[\w.:/]+ closed the connection before its answer was complete$/);
    await expect(client.people()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE", message });
    await expect(asked()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE", message });
  });
});

describe("an answer that is none, over a connection that is", () => {
  const HEADERS = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  const CHUNKED = `${HEADERS}transfer-encoding: chunked\r\n\r\n`;
  const endless =
    (begin: string, piece: string) =>
    (socket: Socket): void => {
      socket.write(begin);
      const timer = setInterval(() => socket.write(piece), 10);
      socket.on("close", () => clearInterval(timer));
    };
  const encoded = (encoding: string) => (socket: Socket) =>
    socket.end(`${HEADERS}content-encoding: ${encoding}\r\ncontent-length: 2\r\n\r\n{}`);
  const redirects = (location: string) => (socket: Socket) =>
    socket.end(`HTTP/1.1 302 Found\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`);
  const closed = "SERVER_UNREACHABLE: URL closed the connection before its answer was complete";
  const late = "SERVER_UNREACHABLE: URL did not complete its answer within 0.5 s";
  const silent = "SERVER_UNREACHABLE: URL did not answer within 0.5 s";
  const undecoded = (encoding: string) =>
    `SERVER_ERROR: the answer of URL has the header Content-Encoding: ${encoding}, but its bytes cannot be decoded so`;

  it.each<readonly [what: string, act: (socket: Socket) => unknown, error: string]>([
    ["ends within its headers", (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"), closed],
    ["ends within its body", (socket) => socket.end(`${HEADERS}content-length: 9\r\n\r\n{"a"`), closed],
    ["ends within its chunks", (socket) => socket.end(`${CHUNKED}4\r\n{"a"\r\n`), closed],
    ["never begins", () => undefined, silent],
    ["has headers without end", endless("HTTP/1.1 200 OK\r\n", "x: y\r\n"), silent],
    ["has spaces without end", endless(CHUNKED, "1\r\n \r\n"), late],
    ["claims to be gzip", encoded("gzip"), undecoded("gzip")],
    ["claims to be br", encoded("br"), undecoded("br")],
    ["redirects to itself", redirects("/v1"), "SERVER_ERROR: URL redirects again and again"],
    [
      "redirects to FTP",
      redirects("ftp://127.0.0.1/v1"),
      "SERVER_ERROR: URL redirects to an address that is not HTTP's",
    ],
    [
      "goes on as something else",
      (socket) => socket.end(`${CHUNKED}hello\r\n`),
      "SERVER_ERROR: the answer of URL begins as HTTP and goes on with bytes that are not",
    ],
    [
      "has long headers",
      endless("HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(10_000)}\r\n`),
      "SERVER_ERROR: the answer of URL has too long headers",
    ],
  ])("is said to be one that %s, to both clients", async (_, act, error) => {
    const odd = createTcp((socket) => {
      socket.on("error", () => undefined).once("data", () => act(socket));
    });
    await new Promise<void>((done) => odd.listen(0, "127.0.0.1", done));
    const place = `http://127.0.0.1:${(odd.address() as AddressInfo).port}`;
    const timeoutMs = 500;
    try {
      for (const ask of [
        () => request({ url: place, timeoutMs }, images),
        () => new GalleryClient({ url: place, gallery: "staff", timeoutMs }).people(),
      ]) {
        const failure = await ask().then(
          (answer) => ({ code: "no error", message: JSON.stringify(answer), hint: "" }),
          ({ code, message, hint }) => ({ code, message, hint }),
        );
        const message = failure.message.replace(`${place}/v1/galleries/staff/people`, "URL");
        expect(`${failure.code}: ${message.replace(place, "URL")}`).toBe(error);
        expect(failure.hint).toMatch(/log of the server|remove or correct the header/);
      }
    } finally {
      odd.close();
    }
  });

  it("is cut off where the metadata came whole", async () => {
    reply = (answer) => answer.socket?.resetAndDestroy();
    await expect(asked()).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: `${url} closed the connection before its answer was complete`,
    });
  });
});
