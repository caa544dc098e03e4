/** @file Who may use the galleries: a program on this machine without a key, or a key by its scopes. */
import type { IncomingHttpHeaders } from "node:http";
import type { Scope } from "../../api/operations.ts";
import { type ApiKey, isFromOtherSite, permit, unauthenticated } from "../access/access.ts";
import { StatusError } from "../status.ts";

/** Who asks. */
export interface Asking {
  readonly headers: IncomingHttpHeaders;
  /** The key that the gate found, if any. */
  readonly key?: ApiKey | undefined;
}

/** Decides about requests before their bodies are read. */
export interface Access {
  /**
   * @param gallery the gallery that is asked for, if any.
   * @returns who asks, for the record of events.
   * @throws FaceError or StatusError `UNAUTHENTICATED` or `PERMISSION_DENIED`.
   */
  authorise(asking: Asking, scope: Scope | "any", gallery: string | undefined): string;
}

/** By keys, with their scopes and galleries. */
export const keyAccess: Access = {
  authorise({ headers, key }, scope, gallery) {
    if (key === undefined) throw unauthenticated(headers.authorization);
    return (scope === "any" ? key : permit(key, scope, gallery)).id;
  },
};

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i;

/** Whether an address is this machine only. */
export const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && LOOPBACK.test(address);

/** The host of `Host` or of an origin, without its port. */
const hostOf = (text: string): string => text.replace(/^[a-z]+:\/\//i, "").replace(/:\d+$/, "");

const refuse = (why: string) =>
  new StatusError("PERMISSION_DENIED", `Without keys only programs on this machine are answered: ${why}.`);

/**
 * For a server that listens on loopback alone and has no keys. A page of another site that the user has open must not get
 * through: neither by a request of its own (`Origin`, `Sec-Fetch-Site`), nor by a name of its own that leads here (`Host`).
 */
export const loopbackAccess: Access = {
  authorise({ headers }) {
    const { host = "" } = headers;
    if (!isLoopback(hostOf(host))) throw refuse("the request names another host");
    if (isFromOtherSite(headers)) throw refuse("the request comes from the page of another site");
    if (headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined) {
      throw refuse("the request came through a proxy");
    }
    return "loopback";
  },
};
