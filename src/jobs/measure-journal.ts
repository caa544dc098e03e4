/** @file Embeddings of a measurement, kept beside the cache until it is done, so that one that was stopped goes on. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/errors.ts";
import { counted, type Log, silentLog } from "../base/log.ts";
import { VERSION } from "../base/platform.ts";
import { defaultCacheFolder } from "../data/pixel-cache.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { cachedEmbedder } from "../train/embedding-cache.ts";
import { packIdentity, weightsDigest } from "../verify/face-comparer.ts";
import type { OpenedModel } from "../verify/open-model.ts";

const FOLDER = "measured";
/** Characters of a digest in the name of a file. */
const NAME_LENGTH = 32;

/** The identity of the model that made the embeddings. */
async function identityOf({ pack, path }: OpenedModel): Promise<string> {
  const named = pack === undefined ? undefined : packModelNamed(pack);
  return named === undefined ? await weightsDigest(path) : packIdentity(named).digest;
}

/** The file that holds the embeddings of a model's measurement. */
export async function journalPath(opened: OpenedModel): Promise<string> {
  const name = (await identityOf(opened)).slice(0, NAME_LENGTH);
  return join(defaultCacheFolder(), FOLDER, `${name}-${VERSION}.txt`);
}

/**
 * Does a measurement whose embeddings are kept until it has succeeded. The same measurement, or another of the same model,
 * takes what a stopped one has embedded; a photograph that has changed since is embedded again, because it is known by its
 * pixels. Models that take two images at once have no embeddings to keep.
 * @param work gets the verifier to use.
 */
export async function withJournal<T>(
  opened: OpenedModel,
  log: Log = silentLog,
  work: (verifier: AnyVerifier) => Promise<T>,
): Promise<T> {
  const { verifier } = opened;
  if ("score" in verifier) return await work(verifier);
  const path = await journalPath(opened);
  const kept = await cachedEmbedder(verifier, path, {
    onKnown: (count) =>
      log.info(
        `${counted(count, "embedding")} of a measurement that was stopped ${count === 1 ? "is" : "are"} used where this one has the same images`,
      ),
    onFailure: (error) => log.warn(`embeddings are not kept, in case this is stopped: ${messageOf(error)}`),
  });
  const result = await work(kept);
  await rm(path, { force: true });
  return result;
}
