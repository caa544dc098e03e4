/** @file Asks a server over TensorFlow Serving's REST interface. */

import { z } from "zod";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { asFaceError, FaceError, messageOf, systemCode } from "../base/errors.ts";
import { readWhole } from "../base/files.ts";
import {
  type Answer,
  isOk,
  MOST_ANSWER_BYTES,
  MOST_REPEATED,
  parsedJson,
  type RestAnswer,
  readAnswer,
} from "./answer.ts";
import { excerpt, readText } from "./body.ts";
import { causeOf, type Exchange, exchangeFailure, reachHint } from "./exchange.ts";
import { type DescribedInput, doubtfulPictures, imagePorts, readPicture, type VerifyWish } from "./pair.ts";

export interface RestTarget {
  /** Address of the server: `http://localhost:8501`. */
  readonly url: string;
  readonly model: string;
  /** Milliseconds for each request. */
  readonly timeoutMs?: number;
  readonly apiKey?: string;
  /** Asks by `:verify`; left out, only a model without signatures, such as a pack, is asked so. */
  readonly verify?: VerifyWish | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;

const metadataSchema = z.object({
  metadata: z.object({
    signature_def: z.object({
      signature_def: z.record(
        z.string(),
        z.object({
          inputs: z.record(
            z.string(),
            z.object({ tensor_shape: z.object({ dim: z.array(z.object({ size: z.coerce.number() })) }) }),
          ),
        }),
      ),
    }),
  }),
});

/** What stands behind a failed exchange with a server that is there, by the error's code and message. */
const MISMATCHES: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [
    /wrong version number|packet length too long|EPROTO|ERR_SSL/,
    "it speaks no TLS",
    "write http:// where the server has no certificate",
  ],
  [
    /CERT|certificate|UNABLE_TO_VERIFY/,
    "its certificate is not trusted for this address",
    "use the name that it is for; NODE_EXTRA_CA_CERTS=FILE adds the authority that signed it",
  ],
  [
    /other side closed|HPE_|Parse Error|Expected HTTP/,
    "what listens there speaks no HTTP, or only https",
    "REST has the port of --rest_api_port, usually 8501; gRPC's port takes --grpc HOST:PORT; a server with a certificate takes https://",
  ],
];

/** The command that starts a server where REST was asked; none of ours answers below another path, or with a certificate by itself. */
async function lineFor({ url, model, verify }: RestTarget): Promise<string | undefined> {
  const { protocol, hostname: host, port, pathname } = new URL(addressOf(url).base);
  if (protocol !== "http:" || pathname !== "/") return undefined;
  const { startLine } = await import("./start-line.ts");
  return startLine({
    host,
    port: Number(port || 80),
    interface: "REST",
    model,
    verify: verify !== undefined,
  });
}

async function unreachable(target: RestTarget, error: unknown, exchange: Exchange): Promise<FaceError> {
  const url = shownAddress(target.url);
  const failure = exchangeFailure(url, error, exchange);
  if (failure !== undefined) return failure;
  const cause = causeOf(error);
  const raw = cause instanceof Error ? `${systemCode(cause) ?? ""} ${cause.message}` : String(cause);
  const mismatch = MISMATCHES.find(([pattern]) => pattern.test(raw));
  if (mismatch !== undefined) {
    const [, what, hint] = mismatch;
    return new FaceError("SERVER_UNREACHABLE", `no REST interface answers at ${url}: ${what}`, {
      hint,
      cause: error,
    });
  }
  const reason = messageOf(cause) || "the connection was refused";
  return new FaceError("SERVER_UNREACHABLE", `no server answers at ${url}: ${reason}`, {
    hint: reachHint(systemCode(cause), await lineFor(target)),
    cause: error,
  });
}

const withProtocol = (text: string) => (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);

/** An address as errors name it, without the password that it may hold. */
function shownAddress(text: string): string {
  // In one that cannot be read, a password may hold any character: what stands before the last @ goes.
  const secret = URL.canParse(withProtocol(text)) ? /^(.*?\/\/)?[^/?#]*@/s : /^(.*?\/\/)?.*@/s;
  return text.replace(secret, "$1");
}

/** Text of a part of an address, with or without percents; undefined for percents that are none. */
function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * The address of a server: `localhost:8501` is one too, and a path before `/v1` stays.
 * @throws FaceError `CONFIG_INVALID`.
 */
function addressOf(text: string): { readonly base: string; readonly headers: Record<string, string> } {
  const full = withProtocol(text);
  const url = URL.canParse(full) ? new URL(full) : undefined;
  const secret = [url?.username ?? "", url?.password ?? ""].map(decodedPart);
  const isReadable = url !== undefined && !secret.includes(undefined);
  if (!isReadable || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new FaceError(
      "CONFIG_INVALID",
      `${JSON.stringify(shownAddress(text))} is no address of a REST interface`,
      {
        hint: "pass one such as http://localhost:8501 or https://example.org/faces; --grpc takes HOST:PORT",
      },
    );
  }
  const { origin, pathname, username } = url;
  return {
    base: `${origin}${pathname.replace(/(\/v1(\/.*)?)?\/*$/, "")}`,
    // fetch refuses addresses with a name and password.
    headers:
      username === "" ? {} : { authorization: `Basic ${Buffer.from(secret.join(":")).toString("base64")}` },
  };
}

/** @param isKnown whether the server has answered in HTTP before. */
async function ask(target: RestTarget, path: string, body?: string, isKnown = false): Promise<RestAnswer> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = target;
  // It ends the reading of the answer too.
  const signal = AbortSignal.timeout(timeoutMs);
  const { base, headers: ofAddress } = addressOf(target.url);
  const headers =
    target.apiKey === undefined ? ofAddress : { ...ofAddress, authorization: `Bearer ${target.apiKey}` };
  const url = `${base}/v1/models/${encodeURIComponent(target.model)}${path}`;
  const json = { "content-type": "application/json" };
  const sent = body === undefined ? {} : { method: "POST", body, headers: { ...headers, ...json } };
  let response: Response | undefined;
  try {
    response = await fetch(url, { headers, signal, ...sent });
    return { status: response.status, ...(await readText(response, MOST_ANSWER_BYTES)) };
  } catch (error) {
    throw await unreachable(target, error, { timeoutMs, headers: response?.headers, isKnown });
  }
}

/** The inputs of the default signature; undefined for a model without any signature, which answers `:verify` only. */
function inputsOf({ text, isCut }: RestAnswer, model: string): DescribedInput[] | undefined {
  const metadata = metadataSchema.safeParse(parsedJson(text));
  if (!metadata.success) {
    const what = isCut ? "more than 1 MB" : excerpt(text, MOST_REPEATED) || "nothing";
    throw new FaceError("SERVER_ERROR", `the metadata of ${model} are not those of a model: got ${what}`, {
      hint: "check that a server of TensorFlow Serving's protocol runs there, and the path in the address",
    });
  }
  const signatures = metadata.data.metadata.signature_def.signature_def;
  if (Object.keys(signatures).length === 0) return undefined;
  const signature = signatures[DEFAULT_SIGNATURE];
  if (signature === undefined) {
    throw new FaceError("SERVER_ERROR", `the metadata of ${model} has no signature ${DEFAULT_SIGNATURE}`);
  }
  return Object.entries(signature.inputs).map(([name, { tensor_shape }]) => ({
    name,
    shape: tensor_shape.dim.map(({ size }) => size),
  }));
}

/**
 * Asks whether two photographs show one person.
 * @returns the server's answer, which may be an error.
 * @throws FaceError `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` or `SERVER_ERROR`.
 */
export async function requestRest(target: RestTarget, images: readonly [string, string]): Promise<Answer> {
  if (target.verify !== undefined) return await askVerify(target, images, target.verify);
  const metadata = await ask(target, "/metadata");
  if (!isOk(metadata.status)) return readAnswer(metadata, "predict", shownAddress(target.url));
  const inputs = inputsOf(metadata, target.model);
  if (inputs === undefined) return await askVerify(target, images, {});
  const ports = imagePorts(inputs, target.model);
  const pictures = await Promise.all(ports.map((port, i) => readPicture(images[i as 0 | 1], port)));
  const instance = Object.fromEntries(
    ports.map(({ name, height, width }, i) => [name, nested(pictures[i]!.tensor.data, height, width)]),
  );
  const answered = await ask(target, ":predict", JSON.stringify({ instances: [instance] }), true);
  return {
    ...readAnswer(answered, "predict", shownAddress(target.url)),
    ...doubtfulPictures(pictures, ports),
  };
}

/** Sends two files as they are to `:verify`, which finds the faces in them. */
async function askVerify(
  target: RestTarget,
  images: readonly [string, string],
  wish: VerifyWish,
): Promise<Answer> {
  const [anchor, verification] = await Promise.all(images.map(fileOf));
  const answered = await ask(target, ":verify", JSON.stringify({ anchor, verification, ...wish }));
  return readAnswer(answered, "verify", shownAddress(target.url));
}

async function fileOf(path: string): Promise<{ b64: string }> {
  try {
    return { b64: (await readWhole(path)).toString("base64") };
  } catch (error) {
    throw asFaceError(error) ?? error;
  }
}

/** Decimal digits that tell every float32 from its neighbours: fewer move pixels, and 8-bit models then round some otherwise. */
const DIGITS = 9;

/** `[height][width][3]` numbers that are read as the same floats. */
function nested(values: Float32Array, height: number, width: number): number[][][] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => {
      const at = (y * width + x) * 3;
      return [0, 1, 2].map((channel) => Number(values[at + channel]!.toPrecision(DIGITS)));
    }),
  );
}
