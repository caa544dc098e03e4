/** @file Objects of Google Cloud Storage by its JSON interface; the only importer of Google's credentials, which are loaded where a model lies there. */
import type { Readable } from "node:stream";
import type { AuthClient } from "google-auth-library";
import { z } from "zod";
import { FaceError, messageOf } from "../../base/errors.ts";
import { StatusError } from "../status.ts";
import {
  changedObject,
  collectPages,
  type ObjectStore,
  optionalClient,
  type StoredObject,
  storageError,
  writeObject,
} from "./object-store.ts";

/** The version that the tests run with. */
const CLIENT_PACKAGE = "google-auth-library@10.9.1";

const ENDPOINT = "https://storage.googleapis.com";
const READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only";
const FIELDS = "nextPageToken,items(name,size,generation,updated,md5Hash,crc32c,contentEncoding)";

const PAGE = z.object({
  nextPageToken: z.string().optional(),
  items: z
    .array(
      z.object({
        name: z.string(),
        // 64-bit integers are strings in this interface.
        size: z.coerce.number().int().nonnegative(),
        generation: z.coerce.string(),
        updated: z.string().optional(),
        md5Hash: z.string().optional(),
        crc32c: z.string().optional(),
        contentEncoding: z.string().optional(),
      }),
    )
    .default([]),
});
type Item = z.infer<typeof PAGE>["items"][number];

const HINT =
  "check that the bucket is there, and that the account may list and read it (roles/storage.objectViewer)";

const NO_CREDENTIALS =
  "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials, run gcloud auth application-default login, or run where the machine or pod has a service account";

/** MD5 where there is one (an object put together of others has none), else the CRC-32C, which every object has. */
function sumsOf({ md5Hash, crc32c }: Item): NonNullable<StoredObject["sums"]> {
  if (md5Hash) return { md5: Buffer.from(md5Hash, "base64").toString("hex") };
  const bytes = Buffer.from(crc32c ?? "", "base64");
  return bytes.length === 4 ? { crc32c: bytes.readUInt32BE() } : {};
}

function objectOf(item: Item, prefix: string): StoredObject {
  const { name: key, size, generation, updated, contentEncoding } = item;
  if (contentEncoding === "gzip") {
    throw new FaceError("MODEL_INVALID", `${key} is stored as gzip, which the storage unpacks on the way`, {
      hint: "upload it without Content-Encoding, so that its size and checksum are those of the file",
    });
  }
  const modifiedMs = Date.parse(updated ?? "") || 0;
  return { name: key.slice(prefix.length), key, size, etag: generation, modifiedMs, sums: sumsOf(item) };
}

/** Who asks: nobody where the storage is an emulator, else the account that Google's own tools would take. */
async function openClient(isEmulator: boolean): Promise<AuthClient> {
  const { GoogleAuth, PassThroughClient } = await optionalClient(
    "gs",
    CLIENT_PACKAGE,
    () => import("google-auth-library"),
  );
  if (isEmulator) return new PassThroughClient();
  return await new GoogleAuth({ scopes: READ_ONLY }).getClient().catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    const reason = text.replace(/\. Browse to .*$/s, "");
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Models at gs:// take credentials of Google Cloud, and none can be used: ${reason}`,
      { hint: NO_CREDENTIALS, cause: error },
    );
  });
}

/** The address of an emulator, with a scheme; undefined without one. */
function emulatorOf({ STORAGE_EMULATOR_HOST: host = "" }: NodeJS.ProcessEnv): string | undefined {
  if (host === "") return undefined;
  return (/^https?:\/\//.test(host) ? host : `http://${host}`).replace(/\/+$/, "");
}

/**
 * Opens Google Cloud Storage with the credentials of `GOOGLE_APPLICATION_CREDENTIALS`, of `gcloud` or of the machine, or the
 * emulator that `STORAGE_EMULATOR_HOST` names, without any.
 * @param endpoint where the storage answers.
 * @throws StatusError `FAILED_PRECONDITION` where the client is not installed, or there are no credentials.
 */
export async function openGoogleStore(
  environment: NodeJS.ProcessEnv = process.env,
  endpoint = ENDPOINT,
): Promise<ObjectStore> {
  const emulator = emulatorOf(environment);
  const client = await openClient(emulator !== undefined);
  const objectsOf = (bucket: string) =>
    `${emulator ?? endpoint}/storage/v1/b/${encodeURIComponent(bucket)}/o`;
  // Where a storage sends on to another host, the token must not follow.
  const common = { redirect: "error", retry: true } as const;
  return {
    async list(bucket, prefix, signal) {
      const address = `gs://${bucket}/${prefix}`;
      const pages = async function* () {
        let pageToken: string | undefined;
        do {
          const params = { prefix, fields: FIELDS, ...(pageToken && { pageToken }) };
          const { data } = await client.request({ ...common, url: objectsOf(bucket), params, signal });
          const page = PAGE.parse(data);
          yield page.items.map((item) => objectOf(item, prefix));
          pageToken = page.nextPageToken;
        } while (pageToken);
      };
      return await collectPages(
        address,
        pages(),
        "check that STORAGE_EMULATOR_HOST names an emulator of Google Cloud Storage",
      ).catch((error: unknown) => {
        throw storageError(address, error, HINT);
      });
    },
    async copy(bucket, object, file, signal) {
      const { key, etag } = object;
      const { data } = await client
        .request<Readable>({
          ...common,
          url: `${objectsOf(bucket)}/${encodeURIComponent(key)}`,
          params: { alt: "media", ifGenerationMatch: etag },
          responseType: "stream",
          signal,
        })
        .catch((error: unknown) => {
          throw changedObject(key, messageOf(error), error);
        });
      await writeObject(object, data, file, signal);
    },
  };
}
