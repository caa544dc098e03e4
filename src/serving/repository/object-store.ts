/** @file Objects of an S3-compatible storage; the only importer of the AWS client, which is loaded where a model lies there. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FaceError, messageOf } from "../../base/errors.ts";
import { StatusError } from "../status.ts";

/** An object below a prefix. */
export interface StoredObject {
  /** Its key without the prefix. */
  readonly name: string;
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** The source of a model's versions. */
export interface ObjectStore {
  /** All objects below a prefix. @throws the storage's error. */
  list(bucket: string, prefix: string, signal: AbortSignal): Promise<StoredObject[]>;
  /** Copies an object into a file. @throws FaceError `DOWNLOAD_FAILED` where it is not the one that was listed. */
  copy(bucket: string, object: StoredObject, file: string, signal: AbortSignal): Promise<void>;
}

/** The version that the tests run with. */
const CLIENT_PACKAGE = "@aws-sdk/client-s3@3.1175.0";

async function loadClient(): Promise<typeof import("@aws-sdk/client-s3")> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (error) {
    const text = `Models at s3:// take a package that is not installed here: npm install ${CLIENT_PACKAGE}`;
    throw new StatusError("FAILED_PRECONDITION", text, { cause: error });
  }
}

/** More objects than any model has in all its versions. */
const MOST_OBJECTS = 100_000;
/** Pages in a row that hold nothing, after which a listing would hardly end. */
const MOST_EMPTY_PAGES = 100;

/** The difference between an object and its listing. */
const changed = (key: string, what: string, cause?: unknown) =>
  new FaceError("DOWNLOAD_FAILED", `${key} is not as it was listed: ${what}`, {
    hint: "it is fetched again at the next listing",
    cause,
  });

/** MD5 in hexadecimal, which most storages give objects that were uploaded in one part without a key of one's own. */
const MD5 = /^"?([0-9a-f]{32})"?$/;

/**
 * Opens the storage that the variables of AWS name: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_S3` and so on.
 * @throws StatusError `FAILED_PRECONDITION` where the client is not installed.
 */
export async function openObjectStore(environment: NodeJS.ProcessEnv = process.env): Promise<ObjectStore> {
  const { GetObjectCommand, paginateListObjectsV2, S3Client } = await loadClient();
  const endpoint = environment.AWS_ENDPOINT_URL_S3 || environment.AWS_ENDPOINT_URL;
  const client = new S3Client({
    // Other storages than AWS' own seldom have a host for each bucket, and take any region.
    ...(endpoint && { endpoint, forcePathStyle: true, region: environment.AWS_REGION || "us-east-1" }),
  });
  return {
    async list(bucket, prefix, signal) {
      const objects: StoredObject[] = [];
      let empty = 0;
      const pages = paginateListObjectsV2(
        { client },
        { Bucket: bucket, Prefix: prefix },
        { abortSignal: signal },
      );
      for await (const { Contents = [] } of pages) {
        for (const { Key: key = "", Size: size = 0, ETag: etag = "", LastModified } of Contents) {
          objects.push({
            name: key.slice(prefix.length),
            key,
            size,
            etag,
            modifiedMs: LastModified?.getTime() ?? 0,
          });
        }
        empty = Contents.length === 0 ? empty + 1 : 0;
        if (empty > MOST_EMPTY_PAGES) {
          const text = `the listing of s3://${bucket}/${prefix} does not end: ${empty} pages in a row are empty`;
          throw new FaceError("DOWNLOAD_FAILED", text, {
            hint: "check that AWS_ENDPOINT_URL_S3 names a storage that speaks S3",
          });
        }
        if (objects.length > MOST_OBJECTS) {
          const text = `s3://${bucket}/${prefix} has more than ${MOST_OBJECTS} objects`;
          throw new FaceError("CONFIG_INVALID", text, { hint: "name the prefix of one model" });
        }
      }
      return objects;
    },
    async copy(bucket, { key, size, etag }, file, signal) {
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(etag !== "" && { IfMatch: etag }),
      });
      const answer = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        throw changed(key, messageOf(error), error);
      });
      const digest = createHash("md5");
      let bytes = 0;
      const counted = async function* (source: AsyncIterable<Uint8Array>) {
        for await (const chunk of source) {
          bytes += chunk.length;
          if (bytes > size) throw changed(key, `it has more than ${size} bytes`);
          digest.update(chunk);
          yield chunk;
        }
      };
      await pipeline(
        Readable.from(counted(answer.Body as Readable)),
        createWriteStream(file, { flags: "wx" }),
        {
          signal,
        },
      );
      if (bytes !== size) throw changed(key, `${bytes} bytes came, ${size} were listed`);
      const isPlain = answer.ServerSideEncryption === undefined || answer.ServerSideEncryption === "AES256";
      const md5 = isPlain && answer.SSECustomerAlgorithm === undefined ? MD5.exec(etag)?.[1] : undefined;
      if (md5 !== undefined && digest.digest("hex") !== md5) throw changed(key, "its MD5 is another one");
    },
  };
}
