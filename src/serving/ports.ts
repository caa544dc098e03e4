/** @file Checks ports before anything is loaded, so that a port in use is found at once. */
import { once } from "node:events";
import { createServer, type ListenOptions } from "node:net";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";

const MOST = 65_535;

/** A port to be opened, and what errors call it. */
export interface WantedPort {
  readonly interface: "REST" | "gRPC" | "admin";
  /** 0 picks a free one, undefined leaves the interface off. */
  readonly port: number | undefined;
  /** The option that sets it. Default: that of `serve`. */
  readonly option?: string;
}

const OPTIONS = { REST: "restPort", gRPC: "grpcPort", admin: "adminPort" } as const;

/** Why a port cannot be opened, in words. */
export function portError(
  of: WantedPort["interface"],
  port: number | string,
  error: unknown,
  option: string = OPTIONS[of],
): FaceError {
  const code = systemCode(error) ?? /E[A-Z]{4,}/.exec(messageOf(error))?.[0];
  const cause = Object.assign(new Error(messageOf(error)), { code });
  const hint =
    code === "EACCES"
      ? `ports below 1024 take special rights; choose another \`${option}\``
      : `stop the program that uses it, or choose another \`${option}\``;
  return new FaceError("PORT_IN_USE", `cannot listen on ${of} port ${port}: ${messageOf(cause)}`, {
    hint,
    cause: error,
  });
}

async function probe(options: ListenOptions): Promise<void> {
  const server = createServer().listen(options);
  try {
    await once(server, "listening");
  } finally {
    server.close();
  }
}

/**
 * Opens and closes each port.
 * @throws FaceError `CONFIG_INVALID` for what is no port, or one port for both interfaces; `PORT_IN_USE`.
 */
export async function requireFreePorts(wanted: readonly WantedPort[]): Promise<void> {
  const taken = new Set<number>();
  for (const { interface: of, port, option = OPTIONS[of] } of wanted) {
    if (port === undefined) continue;
    if (!(Number.isInteger(port) && port >= 0 && port <= MOST)) {
      const text = `\`${option}\`: got ${port}, expected a whole number from 0 to ${MOST}`;
      throw new FaceError("CONFIG_INVALID", text, { hint: "gRPC usually has 8500, REST 8501" });
    }
    if (port === 0) continue;
    if (taken.has(port)) {
      throw new FaceError("CONFIG_INVALID", `two interfaces cannot share the port ${port}`, {
        hint: "choose different ports, such as `grpcPort` 8500 and `restPort` 8501",
      });
    }
    taken.add(port);
    try {
      // As the server does: REST on IPv6 and IPv4, or on IPv4 alone where the machine has no IPv6.
      if (of === "gRPC") await probe({ port, host: "0.0.0.0" });
      else if (of === "admin") await probe({ port, host: "127.0.0.1" });
      else
        await probe({ port, host: "::" }).catch((error: unknown) => {
          if (systemCode(error) !== "EAFNOSUPPORT") throw error;
          return probe({ port, host: "0.0.0.0" });
        });
    } catch (error) {
      throw portError(of, port, error, option);
    }
  }
}
