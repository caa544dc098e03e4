/** @file Asks a server about two photographs, over whichever of its interfaces the target names. */
import type { Answer } from "./answer.ts";
import { requestGrpc } from "./grpc.ts";
import { requestRest } from "./rest.ts";

/** A server and a model on it: over REST by `url`, over gRPC by `address`. */
export type RequestTarget = {
  /** Name of the model. Default `faceid`. */
  readonly model?: string;
  /** Milliseconds for each request. Default 30,000. */
  readonly timeoutMs?: number;
} & (
  | {
      /** `http://localhost:8501` */
      readonly url: string;
      readonly address?: never;
    }
  | {
      /** `localhost:8500` */
      readonly address: string;
      readonly url?: never;
    }
);

/**
 * Asks whether two photographs show one person. The model's metadata says how large it wants them.
 * @param images paths of image files.
 * @returns the server's answer: `probability` in [0, 1] where it gave one, and its words as JSON, also of an error.
 * @throws FaceError `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` or `SERVER_ERROR`.
 */
export function request(target: RequestTarget, images: readonly [string, string]): Promise<Answer> {
  const { model = "faceid", timeoutMs } = target;
  const common = { model, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  return target.url === undefined
    ? requestGrpc({ ...common, address: target.address }, images)
    : requestRest({ ...common, url: target.url }, images);
}
