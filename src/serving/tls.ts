/** @file The certificates of both interfaces, read from `--ssl_config_file` and checked before anything else starts. */
import { createSecureContext } from "node:tls";
import { FaceError, messageOf } from "../base/errors.ts";
import { SSLConfigSchema } from "../proto/tensorflow_serving/model_service_pb.ts";
import { readTextProto } from "./repository/text-proto.ts";

/** Certificates in PEM. */
export interface Tls {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
  readonly requireClientCertificate: boolean;
}

/**
 * Reads an SSLConfig, whose values are the certificates themselves in PEM, not paths.
 * @throws FaceError `CONFIG_INVALID` when the key and certificates cannot be used.
 */
export async function readTls(file: string): Promise<Tls> {
  const config = await readTextProto(SSLConfigSchema, file);
  const { serverKey: key, serverCert: cert, customCa, clientVerify: requireClientCertificate } = config;
  if (requireClientCertificate && customCa === "") {
    throw new FaceError("CONFIG_INVALID", `--ssl_config_file: ${file} has client_verify without custom_ca`, {
      hint: "name the authority that signs the clients' certificates in custom_ca",
    });
  }
  const tls = { key, cert, requireClientCertificate, ...(customCa === "" ? {} : { ca: customCa }) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new FaceError(
      "CONFIG_INVALID",
      `--ssl_config_file: ${file} holds no usable key and certificate: ${messageOf(error)}`,
      {
        hint: "server_key, server_cert and custom_ca take the text of PEM files, with \\n for the ends of lines",
        cause: error,
      },
    );
  }
  return tls;
}
