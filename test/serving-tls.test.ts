/** @file One certificate for both ports, by the real command; client certificates where they are asked for. */
import { once } from "node:events";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { float32 } from "../src/base/tensor.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../src/savedmodel/format/tensor-proto.ts";
import { authority, type Certificate, hasOpenssl } from "./support/certificates.ts";
import { grpcCaller } from "./support/grpc-client.ts";
import { writeHalfPlusTwo } from "./support/saved-models.ts";
import { type ServerProcess, serve } from "./support/server-process.ts";
import { temporaryFolder } from "./support/tiny-run.ts";

const canRun = await hasOpenssl();
if (!canRun) process.stderr.write("skipped: TLS needs openssl to make certificates\n");
const work = temporaryFolder("tls");

/** A PEM as a text proto holds it: one quoted string a line. */
const quoted = (pem: string) =>
  pem
    .trim()
    .split("\n")
    .map((line) => `"${line}\\n"`)
    .join("\n  ");

function configFile(name: string, { key, cert }: Certificate, more = ""): string {
  const file = join(work, name);
  writeFileSync(file, `server_key: ${quoted(key)}\nserver_cert: ${quoted(cert)}\n${more}`);
  return file;
}

const BODY = '{"instances": [2.0]}';
const ANSWER = '{\n    "predictions": [3.0\n    ]\n}';

async function post(options: RequestOptions, request: typeof httpsRequest = httpsRequest): Promise<string> {
  const asked = request({
    host: "localhost",
    path: "/v1/models/half:predict",
    method: "POST",
    agent: false,
    ...options,
  });
  asked.end(BODY);
  const [response] = await once(asked, "response");
  return textOf(response);
}

async function predict(port: number, security: ReturnType<typeof credentials.createSsl>): Promise<unknown> {
  using caller = grpcCaller(`localhost:${port}`, security);
  const request = create(PredictRequestSchema, {
    modelSpec: { name: "half" },
    inputs: { x: tensorToProto(float32([1], [2])) },
  });
  const { outputs } = await caller.call(PredictionService.method.predict, request, {
    deadline: Date.now() + 20_000,
  });
  return outputs.y?.floatVal;
}

describe.skipIf(!canRun)("--ssl_config_file", () => {
  let ca: string;
  let stranger: string;
  let client: Certificate;
  let forged: Certificate;
  let open: ServerProcess;
  let closed: ServerProcess;

  beforeAll(async () => {
    mkdirSync(join(work, "models"));
    await writeHalfPlusTwo(join(work, "models/1"));
    const [ours, theirs] = await Promise.all([authority(work, "ours"), authority(work, "theirs")]);
    [ca, stranger] = [ours.cert, theirs.cert];
    const server = await ours.sign("server");
    client = await ours.sign("client");
    forged = await theirs.sign("forged");
    const model = ["--model_name=half", `--model_base_path=${join(work, "models")}`];
    const verify = `custom_ca: ${quoted(ours.cert)}\nclient_verify: true\n`;
    [open, closed] = await Promise.all([
      serve([...model, `--ssl_config_file=${configFile("open", server)}`]),
      serve([...model, `--ssl_config_file=${configFile("closed", server, verify)}`]),
    ]);
  });

  afterAll(async () => {
    await Promise.all([open?.stop(), closed?.stop()]);
  });

  it("secures REST and gRPC with the same certificate", async () => {
    expect(await post({ port: open.restPort, ca })).toBe(ANSWER);
    expect(await predict(open.grpcPort, credentials.createSsl(Buffer.from(ca)))).toEqual([3]);
  });

  it("is no use to a client that trusts someone else, or speaks plain text", async () => {
    await expect(post({ port: open.restPort, ca: stranger })).rejects.toThrow("certificate");
    await expect(post({ port: open.restPort }, httpRequest)).rejects.toThrow();
    const plain = credentials.createInsecure();
    await expect(predict(open.grpcPort, plain)).rejects.toMatchObject({ code: 14 });
    const distrusting = credentials.createSsl(Buffer.from(stranger));
    await expect(predict(open.grpcPort, distrusting)).rejects.toMatchObject({ code: 14 });
  });

  it("with client_verify lets in only clients with a certificate that custom_ca signed", async () => {
    const port = closed.restPort;
    expect(await post({ port, ca, ...client })).toBe(ANSWER);
    await expect(post({ port, ca })).rejects.toThrow();
    await expect(post({ port, ca, ...forged })).rejects.toThrow();
    const secure = (own?: Certificate) =>
      own === undefined
        ? credentials.createSsl(Buffer.from(ca))
        : credentials.createSsl(Buffer.from(ca), Buffer.from(own.key), Buffer.from(own.cert));
    expect(await predict(closed.grpcPort, secure(client))).toEqual([3]);
    await expect(predict(closed.grpcPort, secure())).rejects.toMatchObject({ code: 14 });
    await expect(predict(closed.grpcPort, secure(forged))).rejects.toMatchObject({ code: 14 });
  });

  it("takes a renewed certificate without a restart, and keeps the one before where the file is broken", async () => {
    const [first, second] = await Promise.all([authority(work, "first"), authority(work, "second")]);
    const file = configFile("renewed", await first.sign("before"));
    const model = ["--model_name=half", `--model_base_path=${join(work, "models")}`];
    const server = await serve([...model, `--ssl_config_file=${file}`]);
    const answers = async (trusted: string) => {
      const rest = await post({ port: server.restPort, ca: trusted }).catch(() => undefined);
      const grpc = await predict(server.grpcPort, credentials.createSsl(Buffer.from(trusted))).catch(
        () => undefined,
      );
      return [rest, grpc];
    };
    expect(await answers(first.cert)).toEqual([ANSWER, [3]]);
    writeFileSync(file, "server_key: broken");
    await server.until("the changed certificates cannot be used");
    expect(await answers(first.cert)).toEqual([ANSWER, [3]]);
    renameSync(configFile("next", await second.sign("after")), file);
    await server.until("the certificates were read again");
    expect(await answers(second.cert)).toEqual([ANSWER, [3]]);
    expect(await answers(first.cert)).toEqual([undefined, undefined]);
    renameSync(
      configFile("verifying", await second.sign("later"), `custom_ca: ${quoted(ca)}\nclient_verify: true\n`),
      file,
    );
    await server.until("client_verify has changed, which needs a restart");
    expect(await answers(second.cert)).toEqual([ANSWER, [3]]);
    expect(await server.stop()).toBe(0);
  });

  it("refuses client_verify without an authority, with a sentence", async () => {
    const model = ["--model_name=half", `--model_base_path=${join(work, "models")}`];
    const file = configFile("alone", client, "client_verify: true\n");
    await expect(serve([...model, `--ssl_config_file=${file}`])).rejects.toThrow(
      /has client_verify without custom_ca\n {2}name the authority/,
    );
  });

  it("refuses files that hold no certificate, before any port opens", async () => {
    const model = ["--model_name=half", `--model_base_path=${join(work, "models")}`];
    const damaged = configFile("damaged", { key: "no key", cert: "no certificate" });
    await expect(serve([...model, `--ssl_config_file=${damaged}`])).rejects.toThrow(
      /--ssl_config_file: .*damaged holds no usable key and certificate/,
    );
    await expect(serve([...model, `--ssl_config_file=${join(work, "nowhere")}`])).rejects.toThrow("nowhere");
  });
});
