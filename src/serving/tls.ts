/** @file The certificates of both interfaces, read from `--ssl_config_file` and checked before anything else starts. */
import { createSecureContext } from "node:tls";
import { FaceError, messageOf } from "../base/errors.ts";
import { fileState } from "../base/files.ts";
import type { Log } from "../base/log.ts";
import { SSLConfigSchema } from "../proto/tensorflow_serving/model_service_pb.ts";
import { readTextProto } from "./repository/text-proto.ts";

/** Certificates in PEM. */
export interface Tls {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
  readonly requireClientCertificate: boolean;
}

/** Certificates in the form of Node. */
export const secureContext = ({ key, cert, ca }: Tls) => ({ key, cert, ...(ca !== undefined && { ca }) });

/**
 * Reads an SSLConfig, whose values are the certificates themselves in PEM, not paths.
 * @throws FaceError `CONFIG_INVALID` when the key and certificates cannot be used.
 */
export async function readTls(file: string): Promise<Tls> {
  const config = await readTextProto(SSLConfigSchema, file);
  const { serverKey: key, serverCert: cert, customCa, clientVerify: requireClientCertificate } = config;
  if (requireClientCertificate && customCa === "") {
    throw new FaceError("CONFIG_INVALID", `\`tlsFile\`: ${file} has client_verify without custom_ca`, {
      hint: "name the authority that signs the clients' certificates in custom_ca",
    });
  }
  const tls = { key, cert, requireClientCertificate, ...(customCa === "" ? {} : { ca: customCa }) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new FaceError(
      "CONFIG_INVALID",
      `\`tlsFile\`: ${file} holds no usable key and certificate: ${messageOf(error)}`,
      {
        hint: "server_key, server_cert and custom_ca take the text of PEM files, with \\n for the ends of lines",
        cause: error,
      },
    );
  }
  return tls;
}

const WATCH_MS = 1000;

/**
 * Looks every second whether the file has changed, and reads it then. A file that cannot be used is logged; the
 * certificates before stay in force.
 * @param apply takes the new certificates.
 */
export function followTls(file: string, before: Tls, log: Log, apply: (tls: Tls) => void): NodeJS.Timeout {
  let state = fileState(file);
  const look = async () => {
    const now = fileState(file);
    if (now === state) return;
    state = now;
    try {
      const tls = await readTls(file);
      if (tls.requireClientCertificate !== before.requireClientCertificate) {
        throw new FaceError("CONFIG_INVALID", "client_verify has changed, which needs a restart");
      }
      apply(tls);
      log.info("the certificates were read again; new connections use them");
    } catch (error) {
      log.error("the changed certificates cannot be used; those before stay in force", {
        cause: messageOf(error),
      });
    }
  };
  return setInterval(() => void look(), WATCH_MS).unref();
}
