/** @file Certificates for tests, made by openssl: authorities, and what they sign. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A key with its certificate, in PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Signs certificates. */
export interface Authority extends Certificate {
  /** A certificate for `localhost`. */
  sign(name: string): Promise<Certificate>;
}

/** Whether this machine has openssl. */
export async function hasOpenssl(): Promise<boolean> {
  return execute("openssl", ["version"]).then(
    () => true,
    () => false,
  );
}

/** Makes an authority whose files lie in `folder`. */
export async function authority(folder: string, name: string): Promise<Authority> {
  const file = (of: string, kind: string) => join(folder, `${of}.${kind}`);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const read = (of: string): Certificate => ({
    key: readFileSync(file(of, "key"), "utf8"),
    cert: readFileSync(file(of, "crt"), "utf8"),
  });
  const request = (of: string, ...more: string[]) =>
    execute("openssl", ["req", ...newKey, "-keyout", file(of, "key"), "-subj", `/CN=${of}`, ...more]);
  await request(name, "-x509", "-days", "2", "-out", file(name, "crt"));
  return {
    ...read(name),
    async sign(of) {
      await request(of, "-out", file(of, "csr"));
      writeFileSync(file(of, "ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
      const signer = ["-CA", file(name, "crt"), "-CAkey", file(name, "key"), "-CAcreateserial"];
      const made = [
        "-in",
        file(of, "csr"),
        "-out",
        file(of, "crt"),
        "-days",
        "2",
        "-extfile",
        file(of, "ext"),
      ];
      await execute("openssl", ["x509", "-req", ...made, ...signer]);
      return read(of);
    },
  };
}
