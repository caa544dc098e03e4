/** @file The client of a server: asks over REST or gRPC, and knows of it only what the protocols say. */

import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import type { Answer } from "./answer.ts";
import { requestGrpc } from "./grpc.ts";
import type { VerifyWish } from "./pair.ts";
import { requestRest } from "./rest.ts";

/** A server and a model on it: over REST by `url`, over gRPC by `address`. */
export type RequestTarget = {
  /** Name of the model. Default `faceid`. */
  readonly model?: string;
  /** Milliseconds for each request. Default 30,000. */
  readonly timeoutMs?: number;
  /** Key for a server that takes one (`faceid keys add`). */
  readonly apiKey?: string;
} & (
  | {
      /** `http://localhost:8501`, `localhost:8501`, or with a path before `/v1`. */
      readonly url: string;
      readonly address?: never;
      /**
       * Sends the photographs as files to the server's `:verify`, which finds the faces and decides. Left out, only a
       * model without signatures, such as a pack, is asked so.
       */
      readonly verify?: VerifyWish | undefined;
    }
  | {
      /** `localhost:8500` */
      readonly address: string;
      readonly url?: never;
      readonly verify?: never;
    }
);

const pick = z.union([given.text, given.count]);
const targetOptions = z.strictObject({
  model: given.text.optional(),
  timeoutMs: given.milliseconds.int().positive().optional(),
  apiKey: given.text.optional(),
  url: given.text.optional(),
  address: given.text.optional(),
  verify: z
    .strictObject({
      far: given.far.optional(),
      face: z
        .union([pick, z.tuple([pick, pick])], "a choice such as largest, a face's number, or two of these")
        .optional(),
      strict: given.flag.optional(),
    } satisfies Record<keyof VerifyWish, z.ZodType>)
    .optional(),
} satisfies Record<keyof RequestTarget, z.ZodType>);

const twoPaths = z.tuple([given.text, given.text], "the paths of two image files");

/**
 * Asks whether two photographs show one person. They are resized to what the model's metadata declares.
 * @param images paths of image files.
 * @returns the server's answer as JSON, which may be an error, and `probability` in [0, 1] or `same` where it has one.
 * @throws FaceError `CONFIG_INVALID`, `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` or `SERVER_ERROR`.
 */
export async function request(target: RequestTarget, images: readonly [string, string]): Promise<Answer> {
  checkOptions("request", targetOptions, target);
  checkOptions("request, the images", twoPaths, images);
  const { model = "faceid", timeoutMs, apiKey, verify } = target;
  if ((target.url === undefined) === (target.address === undefined)) {
    throw new FaceError("CONFIG_INVALID", "request: expected one of url and address", {
      hint: "url names the REST interface, address the gRPC interface",
    });
  }
  if (target.address !== undefined && verify !== undefined) {
    throw new FaceError("CONFIG_INVALID", "request: verify is asked over REST only", { hint: "pass url" });
  }
  // A header takes neither spaces nor ends of lines; the error does not repeat a secret.
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new FaceError("CONFIG_INVALID", "the API key has characters that no key has", {
      hint: "pass the key as faceid keys add printed it, without spaces and quotes",
    });
  }
  const common = {
    model,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(apiKey !== undefined && { apiKey }),
  };
  return target.url === undefined
    ? await requestGrpc({ ...common, address: target.address.replace(/^(https?|grpc|dns):\/+/, "") }, images)
    : await requestRest({ ...common, url: target.url, verify }, images);
}
