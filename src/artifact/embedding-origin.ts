/** @file Which model made an embedding of this process, so that those of two models are not compared unnoticed. */
import { type ErrorCode, FaceError } from "../base/errors.ts";

/** A model whose embeddings are compared with each other only. */
export interface EmbeddingOrigin {
  readonly name: string;
  readonly digest: string;
}

// Numbers alone say nothing of their model. Copies and embeddings read from files are not known here.
const origins = new WeakMap<object, EmbeddingOrigin>();

/** Notes which model made an embedding; returns it. */
export function madeBy(embedding: Float32Array, { name, digest }: EmbeddingOrigin): Float32Array {
  origins.set(embedding, { name, digest });
  return embedding;
}

/**
 * Refuses an embedding of which it is known that another model made it.
 * @param what the call, as the error names it.
 * @throws FaceError with `code`.
 */
export function requireOrigin(
  what: string,
  embedding: unknown,
  { name, digest }: EmbeddingOrigin,
  code: ErrorCode = "CONFIG_INVALID",
): void {
  const origin = typeof embedding === "object" && embedding !== null ? origins.get(embedding) : undefined;
  if (origin === undefined || origin.digest === digest) return;
  throw new FaceError(code, `${what}: ${origin.name} made an embedding, expected one of ${name}`, {
    hint: "embed both photographs with one model: the numbers of two models, or of two modes of one, are not compared",
  });
}
