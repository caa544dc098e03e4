/** @file Objects of an S3-compatible storage; the only importer of the AWS client, which is loaded where a model lies there. */
import type { Readable } from "node:stream";
import type { _Object as Listed } from "@aws-sdk/client-s3";
import { messageOf } from "../../base/errors.ts";
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
const CLIENT_PACKAGE = "@aws-sdk/client-s3@3.1175.0";

/** MD5 in hexadecimal, which most storages give objects that were uploaded in one part without a key of one's own. */
const MD5 = /^"?([0-9a-f]{32})"?$/;

const HINT =
  "check region, keys and bucket (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3)";
/** What to do about the client's messages on settings that it did not find. */
const MISSING: readonly (readonly [message: RegExp, hint: string])[] = [
  [/^Region is missing/, "set AWS_REGION to the region of the bucket, such as eu-central-1"],
  [
    /^Could not load credentials/,
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile in AWS_PROFILE, or run where the machine or pod has a role",
  ],
];

const hintFor = (error: unknown): string =>
  MISSING.find(([message]) => message.test(messageOf(error)))?.[1] ?? HINT;

/**
 * The client's own switch for seven lines that warn of releases after the one that is installed. The tests run that one
 * with the oldest supported Node.
 */
const NO_VERSION_WARNING = "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED";

function objectOf(
  { Key: key = "", Size: size = 0, ETag: etag = "", LastModified }: Listed,
  prefix: string,
): StoredObject {
  return { name: key.slice(prefix.length), key, size, etag, modifiedMs: LastModified?.getTime() ?? 0 };
}

/**
 * Opens the storage that the variables of AWS name: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_S3` and so on.
 * @throws StatusError `FAILED_PRECONDITION` where the client is not installed.
 */
export async function openS3Store(environment: NodeJS.ProcessEnv = process.env): Promise<ObjectStore> {
  const { GetObjectCommand, paginateListObjectsV2, S3Client } = await optionalClient(
    "s3",
    CLIENT_PACKAGE,
    () => import("@aws-sdk/client-s3"),
  );
  // The client looks in the process's own environment.
  process.env[NO_VERSION_WARNING] ??= "true";
  const endpoint = environment.AWS_ENDPOINT_URL_S3 || environment.AWS_ENDPOINT_URL;
  const client = new S3Client({
    // Other storages than AWS' own seldom have a host for each bucket, and take any region.
    ...(endpoint && { endpoint, forcePathStyle: true, region: environment.AWS_REGION || "us-east-1" }),
  });
  return {
    async list(bucket, prefix, signal) {
      const address = `s3://${bucket}/${prefix}`;
      const pages = async function* () {
        const input = { Bucket: bucket, Prefix: prefix };
        for await (const page of paginateListObjectsV2({ client }, input, { abortSignal: signal })) {
          yield (page.Contents ?? []).map((each) => objectOf(each, prefix));
        }
      };
      return await collectPages(
        address,
        pages(),
        "check that AWS_ENDPOINT_URL_S3 names a storage that speaks S3",
      ).catch((error: unknown) => {
        throw storageError(address, error, hintFor(error));
      });
    },
    async copy(bucket, object, file, signal) {
      const { key, etag } = object;
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(etag !== "" && { IfMatch: etag }),
      });
      const answer = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
        throw changedObject(key, messageOf(error), error);
      });
      const isPlain = answer.ServerSideEncryption === undefined || answer.ServerSideEncryption === "AES256";
      const md5 = isPlain && answer.SSECustomerAlgorithm === undefined ? MD5.exec(etag)?.[1] : undefined;
      await writeObject(
        { ...object, sums: md5 === undefined ? {} : { md5 } },
        answer.Body as Readable,
        file,
        signal,
      );
    },
  };
}
