/** @file How often a key or an address may ask; the only importer of rate-limiter-flexible. */
import { createHash, randomBytes } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { StatusError } from "../status.ts";
import { plainAddress } from "./client-address.ts";

/** Refused for now. */
export class RateExceeded extends StatusError {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super("RESOURCE_EXHAUSTED", message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Addresses share this many counters, so that memory does not grow with their number. */
const COUNTERS = 65_536;
const GROUPS = 8;
/** Groups of an IPv6 address that name a network; its owner has all addresses within. */
const NETWORK_GROUPS = 4;

/** The network of an address: an IPv4 address itself, the first 64 bits of an IPv6 address. */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (isIPv4(plain) || !isIPv6(plain)) return plain;
  const [head = "", tail] = plain.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : GROUPS - before.length - after.length;
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after];
  return groups
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}

/** Nobody outside can choose addresses that share a counter. */
const SALT = randomBytes(16);

function counterOf(address: string): string {
  const digest = createHash("sha256").update(SALT).update(networkOf(address)).digest();
  return `address ${digest.readUInt32LE() % COUNTERS}`;
}

/** Wrong keys that an address may send within the time. */
const WRONG_KEYS = 20;

/** Seconds after which each of the counts begins anew. */
export interface RateWindows {
  readonly wrongKeys: number;
  readonly requests: number;
  /** In which as many requests may come once more. */
  readonly burst: number;
}

const WINDOWS: RateWindows = { wrongKeys: 60, requests: 1, burst: 10 };

/** Counts one request. @throws RateExceeded. */
async function consume(
  limiter: Pick<RateLimiterMemory, "consume">,
  counter: string,
  message: string,
): Promise<void> {
  try {
    await limiter.consume(counter);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    throw new RateExceeded(message, error.msBeforeNext);
  }
}

/** Counts wrong keys and, where there is a limit, requests. */
export class Rates {
  readonly #wrongKeys: RateLimiterMemory;
  readonly #requests: BurstyRateLimiter | undefined;
  readonly #perSecond: number | undefined;

  /** @param perSecond requests of a key or an address in a second, and as many again once in ten seconds; left out, no limit. */
  constructor(perSecond?: number, windows: Partial<RateWindows> = {}) {
    const { wrongKeys, requests, burst } = { ...WINDOWS, ...windows };
    this.#wrongKeys = new RateLimiterMemory({ points: WRONG_KEYS, duration: wrongKeys });
    this.#perSecond = perSecond;
    this.#requests =
      perSecond === undefined
        ? undefined
        : new BurstyRateLimiter(
            new RateLimiterMemory({ points: perSecond, duration: requests }),
            new RateLimiterMemory({ points: perSecond, duration: burst, keyPrefix: "burst" }),
          );
  }

  /** @throws RateExceeded for an address that sent too many. */
  wrongKey(address: string): Promise<void> {
    return consume(this.#wrongKeys, counterOf(address), "This address has sent too many wrong API keys.");
  }

  /**
   * Counts a request by its key, or else by its address.
   * @returns undefined where there is no limit.
   * @throws RateExceeded.
   */
  request(keyId: string | undefined, address: string): Promise<void> | undefined {
    if (this.#requests === undefined) return undefined;
    const counter = keyId === undefined ? counterOf(address) : `key ${keyId}`;
    const who = keyId === undefined ? "an address" : "a key";
    const text = `More than ${this.#perSecond} requests a second came; ${who} may not send more.`;
    return consume(this.#requests, counter, text);
  }
}
