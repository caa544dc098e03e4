/** @file Fetches photographs that requests name by URL, from the places of an allow-list only. */
import { lookup as lookupAddress } from "node:dns/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { FaceError, messageOf } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import { VERSION } from "../../base/platform.ts";
import { imageFormat } from "../../image/decode.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** An address of a host. */
interface Address {
  readonly address: string;
  readonly family: number;
}

export interface ImageUrlLimits {
  /** Largest file. Default 32 MiB. */
  readonly maxBytes?: number;
  /** For everything from the host's name to the last byte, redirects included. Default 10 s. */
  readonly timeoutMs?: number;
  /** The addresses of a host; for tests. */
  readonly resolve?: (host: string) => Promise<readonly Address[]>;
}

const MOST_BYTES = 32 * 2 ** 20;
const TIMEOUT_MS = 10_000;
const MOST_REDIRECTS = 3;
const MOST_FETCHES = 8;
const MOST_QUEUED = 128;

/** Networks that are not the public internet (IANA's special-purpose registries, RFC 6890). */
const PRIVATE_4 =
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4";
/** The same of IPv6, with the networks that embed an IPv4 address. */
const PRIVATE_6 =
  "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";

function networks(text: string, family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const each of text.split(" ")) {
    const [network, bits] = each.split("/") as [string, string];
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

const BLOCKED = { 4: networks(PRIVATE_4, "ipv4"), 6: networks(PRIVATE_6, "ipv6") } as const;

/** Whether an address belongs to the public internet. */
export function isPublic(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !BLOCKED[4].check(address, "ipv4");
  return family === 6 && !BLOCKED[6].check(address, "ipv6");
}

/** The host of a URL, an IPv6 address without its brackets. */
const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, "");

function allowedPlace(text: string): URL {
  const wrong = (reason: string) =>
    new FaceError("CONFIG_INVALID", `\`imageUrls\`: ${JSON.stringify(text)} ${reason}`, {
      hint: "list addresses such as https://photos.example.com/ or https://cdn.example.com/faces/, separated by commas",
    });
  if (!URL.canParse(text)) throw wrong("is not a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw wrong("is neither https nor http");
  if (url.username !== "" || url.password !== "") throw wrong("has a user name or password");
  if (url.search !== "" || url.hash !== "") throw wrong("has a query or a fragment");
  if (url.hostname.includes("*")) throw wrong("has a wildcard; name every host");
  return url;
}

/** Dots and slashes in code: a server may decode them after the path was compared. */
const CODED = /%2e|%2f|%5c/i;

function lies({ origin, pathname }: URL, place: URL): boolean {
  if (origin !== place.origin) return false;
  if (place.pathname === "/") return true;
  const within = place.pathname.endsWith("/") ? place.pathname : `${place.pathname}/`;
  return !CODED.test(pathname) && (pathname === place.pathname || pathname.startsWith(within));
}

export class ImageUrls {
  readonly #places: readonly URL[];
  /** Private addresses that the list itself names. */
  readonly #named: ReadonlySet<string>;
  readonly #limits: Required<ImageUrlLimits>;
  readonly #limiter = new Limiter(MOST_FETCHES, {
    maxQueued: MOST_QUEUED,
    refusal: () => new StatusError("UNAVAILABLE", "The server is fetching other images; try again."),
  });

  /**
   * @param allowed beginnings of URLs, such as `https://photos.example.com/`.
   * @throws FaceError `CONFIG_INVALID` for what is no such beginning.
   */
  constructor(allowed: readonly string[], limits: ImageUrlLimits = {}) {
    this.#places = allowed.map(allowedPlace);
    const hosts = this.#places.map(hostOf);
    this.#named = new Set(hosts.flatMap((host) => (host === "localhost" ? ["127.0.0.1", "::1"] : [host])));
    this.#limits = {
      maxBytes: limits.maxBytes ?? MOST_BYTES,
      timeoutMs: limits.timeoutMs ?? TIMEOUT_MS,
      resolve: limits.resolve ?? ((host) => lookupAddress(host, { all: true, verbatim: true })),
    };
  }

  /**
   * Fetches an image file.
   * @param what names the photograph in errors.
   * @throws StatusError `INVALID_ARGUMENT` for a URL outside the list and for what is no image file, `UNAVAILABLE` for a
   *   host that does not answer in time.
   */
  fetch(url: string, what: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#limiter.run(async () => {
      const limit = new AbortController();
      const leave = () => limit.abort(signal.reason);
      signal.addEventListener("abort", leave, { once: true });
      const late = new StatusError("UNAVAILABLE", `"${what}": the image did not arrive in time`);
      const timer = setTimeout(() => limit.abort(late), this.#limits.timeoutMs);
      try {
        return await this.#follow(url, what, limit.signal);
      } catch (error) {
        if (error instanceof StatusError) throw error;
        if (limit.signal.aborted) throw limit.signal.reason;
        throw new StatusError(
          "UNAVAILABLE",
          `"${what}": the image could not be fetched: ${messageOf(error)}`,
          { cause: error },
        );
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", leave);
      }
    }, signal);
  }

  async #follow(first: string, what: string, signal: AbortSignal): Promise<Uint8Array> {
    let url = this.#allowed(first, undefined, what);
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      const address = await abortable(this.#addressOf(url, what), signal);
      const response = await answerOf(url, address, signal);
      const status = response.statusCode ?? 0;
      const { location } = response.headers;
      if (status >= 300 && status < 400 && location !== undefined) {
        response.destroy();
        url = this.#allowed(location, url, what);
        continue;
      }
      if (status !== 200) {
        response.destroy();
        throw invalidArgument(`"${what}": ${url.host} answered with status ${status}`);
      }
      return await this.#read(response, url, what);
    }
    throw invalidArgument(`"${what}": more than ${MOST_REDIRECTS} redirects`);
  }

  #allowed(text: string, base: URL | undefined, what: string): URL {
    if (!URL.canParse(text, base?.href))
      throw invalidArgument(`"${what}": ${JSON.stringify(text)} is not a URL`);
    const url = new URL(text, base);
    const isClean = url.username === "" && url.password === "";
    if (isClean && this.#places.some((place) => lies(url, place))) return url;
    const how = base === undefined ? "" : ", to which it is redirected,";
    throw invalidArgument(
      `"${what}": ${url.origin}${url.pathname}${how} is not in this server's list of image addresses`,
    );
  }

  /** The address that is connected to: resolved once and checked, so that a second look-up cannot give another. */
  async #addressOf(url: URL, what: string): Promise<Address> {
    const host = hostOf(url);
    const family = isIP(host);
    const found = family > 0 ? [{ address: host, family }] : await this.#limits.resolve(host);
    const refused = found.find(({ address }) => !isPublic(address) && !this.#named.has(address));
    const [address] = found;
    if (refused === undefined && address !== undefined) return address;
    throw invalidArgument(`"${what}": ${url.host} is not a public address`);
  }

  async #read(response: IncomingMessage, url: URL, what: string): Promise<Uint8Array> {
    const { maxBytes } = this.#limits;
    const type = response.headers["content-type"] ?? "";
    const coding = response.headers["content-encoding"] ?? "identity";
    const refuse = (reason: string) => {
      response.destroy();
      return invalidArgument(`"${what}": ${url.host} ${reason}`);
    };
    if (/^(text|multipart)\/|json|xml|javascript/i.test(type)) throw refuse(`sent ${type}, not an image`);
    if (coding !== "identity") throw refuse("sent a compressed answer, which was not asked for");
    const tooLarge = `sent more than ${maxBytes} bytes`;
    if (Number(response.headers["content-length"] ?? 0) > maxBytes) throw refuse(tooLarge);
    const chunks: Uint8Array[] = [];
    let received = 0;
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      received += chunk.length;
      if (received > maxBytes) throw refuse(tooLarge);
      chunks.push(chunk);
    }
    const bytes = new Uint8Array(Buffer.concat(chunks));
    if (imageFormat(bytes) === undefined) throw refuse("sent no image file of a known format");
    return bytes;
  }
}

/** The result, or the signal's reason as soon as it aborts. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

/** The start of the answer of a host at this address. */
function answerOf(url: URL, { address, family }: Address, signal: AbortSignal): Promise<IncomingMessage> {
  const pinned: LookupFunction = (_host, options, done) => {
    if (options.all === true) done(null, [{ address, family }]);
    else done(null, address, family);
  };
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const call = request(url, {
      lookup: pinned,
      agent: false,
      signal,
      headers: {
        accept: "image/*",
        "accept-encoding": "identity",
        "user-agent": `faceid/${VERSION}`,
      },
    });
    call.once("response", resolve).on("error", reject).end();
  });
}
