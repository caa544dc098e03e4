/** @file The client of a server: asks over REST or gRPC, and knows of it only what the protocols say. */
import { requestGrpc } from "./grpc.ts";
import type { Answer } from "./pair.ts";
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
 * Asks whether two photographs show one person. They are resized to what the model's metadata declares.
 * @param images paths of image files.
 * @returns the server's answer as JSON, which may be an error, and `probability` in [0, 1] where there is one.
 * @throws FaceError `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` or `SERVER_ERROR`.
 */
export function request(target: RequestTarget, images: readonly [string, string]): Promise<Answer> {
  const { model = "faceid", timeoutMs } = target;
  const common = { model, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  return target.url === undefined
    ? requestGrpc({ ...common, address: target.address }, images)
    : requestRest({ ...common, url: target.url }, images);
}
