/** @file The address of a client behind proxies: what a trusted proxy says of it, else the other end of the connection. */
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import { FaceError } from "../../base/errors.ts";

/** Headers in which proxies name their clients, nearest last. */
export const FORWARDING_HEADERS = ["x-forwarded-for", "forwarded"] as const;
export type ForwardingHeader = (typeof FORWARDING_HEADERS)[number];

/** Proxies whose headers are believed. */
export interface TrustedProxies {
  /** Networks in CIDR notation, or single addresses. */
  readonly networks: readonly string[];
  /** The one header that these proxies write; clients may send the other one. */
  readonly header: ForwardingHeader;
}

const BITS = { ipv4: 32, ipv6: 128 } as const;

/** Written as `URL` does. */
const MAPPED = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/;

/** An address without its zone; IPv4 that came over an IPv6 socket as IPv4, however it is written. */
export function plainAddress(given: string): string {
  const address = given.replace(/%.*$/, "");
  if (!isIPv6(address)) return address;
  const [, high, low] = MAPPED.exec(new URL(`http://[${address}]`).hostname) ?? [];
  if (high === undefined || low === undefined) return address;
  const bytes = [high, low].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
  return bytes.join(".");
}

const familyOf = (address: string) => (isIPv4(address) ? "ipv4" : "ipv6");

function invalidNetwork(network: string): FaceError {
  return new FaceError(
    "CONFIG_INVALID",
    `\`trustedProxies\`: got ${JSON.stringify(network)}, expected an address or a network in CIDR notation`,
    { hint: "such as 10.0.0.0/8,2001:db8::/32" },
  );
}

function add(list: BlockList, network: string): void {
  const [, base = "", bits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(network) ?? [];
  if (isIP(base) === 0) throw invalidNetwork(network);
  const family = familyOf(base);
  const prefix = Number(bits ?? BITS[family]);
  if (prefix > BITS[family]) throw invalidNetwork(network);
  list.addSubnet(base, prefix, family);
}

const FORWARDED_FOR = /(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]+)/i;

/** One entry of the header as an address; undefined for hidden, unknown and malformed ones. */
function addressIn(entry: string, header: ForwardingHeader): string | undefined {
  const text = header === "forwarded" ? (FORWARDED_FOR.exec(entry)?.[1] ?? "") : entry;
  const unquoted = text.trim().replace(/^"(.*)"$/, "$1");
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(unquoted)?.[1];
  const address = plainAddress(bracketed ?? unquoted.replace(/^([\d.]+):\d+$/, "$1"));
  return isIP(address) === 0 ? undefined : address;
}

/** Finds the addresses of clients. */
export class ClientAddresses {
  readonly header: ForwardingHeader;
  readonly #proxies = new BlockList();

  /** @throws FaceError `CONFIG_INVALID` for what is no network. */
  constructor({ networks, header }: TrustedProxies) {
    this.header = header;
    for (const network of networks) add(this.#proxies, network);
  }

  /**
   * The address of a client. From the nearest on, each trusted proxy is believed about the one before it; the first
   * address that is no trusted proxy is the client.
   * @param peer the other end of the connection.
   * @param forwarded the header's text, its lines joined by commas; undefined where none came.
   */
  of(peer: string, forwarded: string | undefined): string {
    let address = plainAddress(peer);
    const entries = forwarded?.split(",") ?? [];
    while (this.#isTrusted(address)) {
      const entry = entries.pop();
      const before = entry === undefined ? undefined : addressIn(entry, this.header);
      if (before === undefined) break;
      address = before;
    }
    return address;
  }

  #isTrusted(address: string): boolean {
    return isIP(address) !== 0 && this.#proxies.check(address, familyOf(address));
  }
}
