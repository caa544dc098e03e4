/** @file The trace that a request belongs to: W3C Trace Context's `traceparent`, read and passed on. */
import { randomBytes } from "node:crypto";

/** Header of a REST request and answer, key of a gRPC call's metadata. */
export const TRACE_HEADER = "traceparent";

/** A request within its trace. Ids are in hexadecimal. */
export interface Trace {
  readonly traceId: string;
  /** The span of the client; absent where the trace begins here. */
  readonly parentId?: string;
  /** This request. */
  readonly spanId: string;
  /** Two hexadecimal digits; the lowest bit says that the trace is recorded. */
  readonly flags: string;
}

const PARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;
const newId = (bytes: number) => randomBytes(bytes).toString("hex");

/** The trace of a client that sent a usable `traceparent` (Trace Context §3.2), which later versions may have made longer. */
export function traceOf(given: unknown): Trace | undefined {
  if (typeof given !== "string") return undefined;
  const [, traceId, parentId, flags, rest] = PARENT.exec(given) ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(parentId)) return undefined;
  if (rest !== undefined && given.startsWith("00")) return undefined;
  return { traceId, parentId, spanId: newId(8), flags };
}

/** A trace that begins here, recorded. */
export const newTrace = (): Trace => ({ traceId: newId(16), spanId: newId(8), flags: "01" });

/** The header for the answer. */
export const traceText = ({ traceId, spanId, flags }: Trace): string => `00-${traceId}-${spanId}-${flags}`;
