/** @file The command that starts a server on this machine, for a request that found none there. */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { SHIPPED_MODEL } from "../artifact/shipped.ts";

/** What was asked, and where nobody answers. */
export interface Unanswered {
  readonly host: string;
  readonly port: number;
  readonly interface: "REST" | "gRPC";
  readonly model: string;
  /** Whether faces are to be found. */
  readonly verify: boolean;
}

/** The pack whose models answer without files of the user's. */
const PACK = "opencv-sface";
/** Where `faceid train` and `faceid export` write models, each under its name. */
const MODELS = "models";
const USUAL_GRPC_PORT = 8500;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i;
/** A name that is no path, and that a shell takes as it is. */
const PLAIN = /^\w[\w@%+=:,.-]*$/;

/** Whether a folder holds versions of a model. */
const holdsVersions = (folder: string) =>
  existsSync(folder) && readdirSync(folder).some((name) => /^\d+$/.test(name));

/** The host and port of a gRPC address; undefined for other forms, such as a socket's path. */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = /^(?:dns:\/{0,3})?(\[[^\]]+\]|[^:/]+):(\d+)$/.exec(address) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}

/**
 * The command after which the same request is answered: the user's own model of that name where `models/` has one, else a pack over
 * REST, and over gRPC, which asks for signatures, the model of this repository.
 * @returns undefined where the request goes to another machine, or for a name that a shell would take apart.
 */
export function startLine(asked: Unanswered): string | undefined {
  const { host, port, interface: of, model, verify } = asked;
  const own = join(MODELS, model);
  if (!LOOPBACK.test(host) || !PLAIN.test(model)) return undefined;
  const finds = verify ? ["--pack", PACK] : [];
  const from = (folder: string) => ["--model_name", model, "--model_base_path", folder, ...finds];
  const served = holdsVersions(own)
    ? from(own)
    : of === "gRPC"
      ? from(relative("", SHIPPED_MODEL))
      : model.startsWith(PACK)
        ? ["--pack", model]
        : ["--pack", PACK, "--model_name", model];
  const other = port === USUAL_GRPC_PORT ? ["--port", "0"] : [];
  const ports = of === "gRPC" ? ["--port", port] : ["--rest_api_port", port, ...other];
  return ["faceid", "serve", ...served, ...ports].join(" ");
}
