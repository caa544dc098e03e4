/** @file What is known of a call while it is answered, and the report when it is over. */
import { oneHeader } from "../access/access.ts";
import type { ClientAddresses } from "../access/client-address.ts";
import type { Observer } from "../observe/finished.ts";
import type { Trace } from "../observe/trace.ts";
import { readerOf } from "./intake.ts";

/** What the parts that answer a call find out about it. */
export interface CallFacts {
  model: string;
  requestId: string;
  keyId?: string | undefined;
  trace?: Trace | undefined;
}

const facts = new WeakMap<object, CallFacts>();
const CANCELLED = 1;

/** The facts of a call that is observed; undefined for others. */
export function factsOf(call: object): CallFacts | undefined {
  const reader = readerOf(call);
  return reader && facts.get(reader);
}

/** `10.0.0.1` of `10.0.0.1:4711`. */
const addressOf = (peer: string): string => peer.replace(/:\d+$/, "");

/** The address of a call's client. @param proxies whom to believe about it; left out, nobody. */
export function clientOf(call: { getPeer(): string }, proxies: ClientAddresses | undefined): string {
  const peer = addressOf(call.getPeer());
  if (proxies === undefined) return peer;
  return proxies.of(peer, oneHeader(readerOf(call)?.metadata?.get(proxies.header).map(String)));
}

/** Reports a call when its stream closes, however it ends. @param call as an interceptor of grpc-js gets it. */
export function observe(
  call: { getPeer(): string },
  path: string,
  observer: Observer,
  proxies: ClientAddresses | undefined,
): void {
  const reader = readerOf(call);
  if (reader?.decoder === undefined || reader.stream === undefined) return;
  const { decoder, stream } = reader;
  const known: CallFacts = { model: "", requestId: "" };
  facts.set(reader, known);
  const [at, startedMs] = [Date.now(), performance.now()];
  const address = clientOf(call, proxies);
  let [bytesIn, bytesOut, code] = [0, 0, CANCELLED];
  const write = decoder.write.bind(decoder);
  decoder.write = (data) => {
    bytesIn += data.length;
    return write(data);
  };
  const serialize = reader.serializeMessage.bind(reader);
  reader.serializeMessage = (message) => {
    const bytes = serialize(message);
    bytesOut += bytes.length;
    return bytes;
  };
  const sendStatus = reader.sendStatus.bind(reader);
  reader.sendStatus = (status) => {
    code = status.code;
    sendStatus(status);
  };
  stream.once("close", () => {
    const ms = performance.now() - startedMs;
    const method = path.slice(path.lastIndexOf("/") + 1);
    observer.finished({
      at,
      protocol: "gRPC",
      method,
      route: path,
      status: code,
      ms,
      bytesIn,
      bytesOut,
      address,
      ...known,
    });
  });
}
