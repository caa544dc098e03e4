/** @file What each call takes of the gate, checked when its metadata arrive, and how a refusal is answered over gRPC. */
import { Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { type ApiKey, oneHeader } from "../access/access.ts";
import type { ClientAddresses } from "../access/client-address.ts";
import type { Gate, Need } from "../access/gate.ts";
import { RateExceeded } from "../access/rates.ts";
import { STATUS, toStatusError } from "../status.ts";
import { clientOf, factsOf } from "./observed.ts";

/** Calls that change which models are served. */
const CHANGES = /\/(?:HandleReloadConfigRequest|RepositoryModelLoad|RepositoryModelUnload)$/;
const HEALTH = /^\/grpc\.health\.|\/Server(?:Live|Ready)$/;

/** What a call takes; undefined for health, which is open. */
function needOf(path: string): Need | undefined {
  if (HEALTH.test(path)) return undefined;
  return CHANGES.test(path) ? { scope: "admin", always: true } : { scope: "predict", always: false };
}

/** A call that begins when the gate lets it in. */
export function guarded(
  call: ServerInterceptingCallInterface,
  path: string,
  gate: Gate | undefined,
  proxies: ClientAddresses | undefined,
): ServerInterceptingCallInterface {
  const need = needOf(path);
  if (gate === undefined || need === undefined) return call;
  const refuse = (error: unknown) => {
    const { status, message } = toStatusError(error);
    const metadata = new Metadata();
    if (status === "UNAUTHENTICATED") metadata.set("www-authenticate", "Bearer");
    // gRFC A6: when the client may try again.
    if (error instanceof RateExceeded) metadata.set("grpc-retry-pushback-ms", String(error.retryAfterMs));
    call.sendStatus({ code: STATUS[status].grpc, details: message, metadata });
  };
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, proceed) => {
          const authorization = oneHeader(metadata.get("authorization").map(String));
          try {
            const admitted = gate.admit({ authorization, address: clientOf(call, proxies) }, need);
            const enter = (key: ApiKey | undefined) => {
              const facts = factsOf(call);
              if (facts !== undefined) facts.keyId = key?.id;
              proceed(metadata);
            };
            if (admitted instanceof Promise) admitted.then(enter, refuse);
            else enter(admitted);
          } catch (error) {
            refuse(error);
          }
        },
      }),
  });
}
