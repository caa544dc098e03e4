/** @file The gate in front of both ports: keys and rates, checked before the body of a request is read. */
import { type ApiKey, type KeyRing, permit, type Scope, signedToken, unauthenticated } from "./access.ts";
import { Rates, type RateWindows } from "./rates.ts";
import type { TokenChecker } from "./tokens.ts";

/** Who asks. */
export interface Caller {
  /** The header, or the metadata of a gRPC call. */
  readonly authorization: string | undefined;
  readonly address: string;
}

/** What a request takes. */
export interface Need {
  /** Left out: any key, since the route checks more itself. */
  readonly scope?: Scope;
  /** Whether a key is wanted wherever keys are given, or only where all requests take one. */
  readonly always: boolean;
}

export interface GateOptions {
  readonly keys?: KeyRing | undefined;
  /** Checks signed tokens, which allow the same as keys. */
  readonly tokens?: TokenChecker | undefined;
  /** Every request takes a key; only where there are keys or tokens. */
  readonly requireKey: boolean;
  /** Requests of a key or an address in a second; left out, any number. */
  readonly rateLimit?: number | undefined;
  /** Default: 60 seconds for wrong keys, 1 for requests, 10 for a burst. */
  readonly rateWindows?: Partial<RateWindows> | undefined;
}

/** Lets requests in. */
export class Gate {
  readonly #options: GateOptions;
  readonly #rates: Rates;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#rates = new Rates(options.rateLimit, options.rateWindows);
  }

  /**
   * Checks a request, at once where it can.
   * @returns the key, where one was wanted or counted.
   * @throws FaceError `UNAUTHENTICATED`, `PERMISSION_DENIED`, or RateExceeded.
   */
  admit(caller: Caller, need: Need): ApiKey | undefined | Promise<ApiKey | undefined> {
    const { keys, tokens } = this.#options;
    const token = tokens && signedToken(caller.authorization);
    if (token === undefined) return this.#decide(keys?.find(caller.authorization), caller, need);
    return tokens!.find(token).then((key) => this.#decide(key, caller, need));
  }

  #decide(
    key: ApiKey | undefined,
    { authorization, address }: Caller,
    need: Need,
  ): ApiKey | undefined | Promise<ApiKey | undefined> {
    const { keys, tokens, requireKey } = this.#options;
    const isClosed = keys !== undefined || tokens !== undefined;
    if (isClosed && key === undefined && (need.always || requireKey)) {
      return this.#refuse(authorization, address);
    }
    const counted = this.#rates.request(key?.id, address);
    const isChecked = key !== undefined && need.scope !== undefined && (need.always || requireKey);
    if (counted === undefined) return isChecked ? permit(key, need.scope) : key;
    return counted.then(() => (isChecked ? permit(key, need.scope!) : key));
  }

  /** A right key is never refused because its address sent wrong ones: others may share the address. */
  async #refuse(authorization: string | undefined, address: string): Promise<never> {
    await (authorization === undefined
      ? this.#rates.request(undefined, address)
      : this.#rates.wrongKey(address));
    throw unauthenticated(authorization);
  }
}
