/** @file Who hears of requests that are over: the access log and an OpenTelemetry collector, where they are wanted. */
import { FaceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { AccessLog } from "./access-log.ts";
import type { FinishedRequest, Observer } from "./finished.ts";
import type { Telemetry } from "./telemetry.ts";

/** What is observed. */
export interface ObserveOptions {
  readonly accessLog?: string | undefined;
}

const ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL";
/** OpenTelemetry's, beside it, is sent to collectors as JSON over HTTP, which all of them take. */
const PROTOCOLS: readonly string[] = ["http/json", "http/protobuf"];

/**
 * Whether the variables of OpenTelemetry name a collector.
 * @throws FaceError `CONFIG_INVALID` for one that cannot be reached as they say.
 */
function wantsTelemetry(environment: NodeJS.ProcessEnv): boolean {
  const { [ENDPOINT]: endpoint = "", [PROTOCOL]: protocol } = environment;
  if (endpoint === "" || environment.OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw new FaceError("CONFIG_INVALID", `${ENDPOINT}: ${JSON.stringify(endpoint)} is no address`, {
      hint: "name the collector's port for HTTP, such as http://localhost:4318",
    });
  }
  if (protocol !== undefined && protocol !== "" && !PROTOCOLS.includes(protocol)) {
    throw new FaceError("CONFIG_INVALID", `${PROTOCOL}: ${JSON.stringify(protocol)} is not supported`, {
      hint: `leave it out, and name the collector's port for HTTP in ${ENDPOINT}, such as http://localhost:4318`,
    });
  }
  return true;
}

export class Observing implements Observer {
  readonly #accessLog: AccessLog | undefined;
  readonly #telemetry: Telemetry | undefined;

  private constructor(accessLog: AccessLog | undefined, telemetry: Telemetry | undefined) {
    this.#accessLog = accessLog;
    this.#telemetry = telemetry;
  }

  /**
   * @returns undefined where nobody wants to hear.
   * @throws FaceError for a log that cannot be written, `CONFIG_INVALID` for a collector that cannot be reached.
   */
  static async open({ accessLog }: ObserveOptions, log: Log): Promise<Observing | undefined> {
    const telemetry = wantsTelemetry(process.env)
      ? (await import("./telemetry.ts")).openTelemetry(log)
      : undefined;
    if (accessLog === undefined && telemetry === undefined) return undefined;
    return new Observing(
      accessLog === undefined ? undefined : await AccessLog.open(accessLog, log),
      telemetry,
    );
  }

  get beginsTraces(): boolean {
    return this.#telemetry !== undefined;
  }

  finished(request: FinishedRequest): void {
    this.#accessLog?.add(request);
    this.#telemetry?.finished(request);
  }

  async close(): Promise<void> {
    await Promise.all([this.#accessLog?.close(), this.#telemetry?.close()]);
  }
}
