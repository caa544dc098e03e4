/** @file A request that has been answered, as the access log and traces see it. */
import type { Trace } from "./trace.ts";

export interface FinishedRequest {
  /** When it came, in milliseconds since 1970. */
  readonly at: number;
  readonly protocol: "REST" | "gRPC";
  /** GET, POST …; the name of the call over gRPC. */
  readonly method: string;
  /** Pattern of the path where it is known, such as `/v1/models/{model}:predict`; otherwise the path without its query. */
  readonly route: string;
  /** Empty where none was named. */
  readonly model: string;
  /** HTTP's status, 499 where the client left before the answer; gRPC's code. */
  readonly status: number;
  readonly ms: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the client, or of a proxy. */
  readonly address: string;
  /** The API key's id, where one was used. */
  readonly keyId?: string | undefined;
  readonly requestId: string;
  readonly trace?: Trace | undefined;
}

/** Gets every request when it is over. */
export interface Observer {
  /** Whether requests without a trace begin one. */
  readonly beginsTraces: boolean;
  finished(request: FinishedRequest): void;
}
