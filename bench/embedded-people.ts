/** @file The embeddings of LFW that `npm run bench -- pack-calibration` keeps, by person. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { EmbeddedPerson } from "../src/evaluate/identification.ts";

function embeddingOf(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export async function embeddedPeople(cache: string): Promise<EmbeddedPerson[]> {
  const people = new Map<string, Float32Array[]>();
  for (const name of await readdir(cache)) {
    for (const line of (await readFile(join(cache, name), "utf8")).split("\n")) {
      if (!line.endsWith("]")) continue;
      const [path, embedding] = JSON.parse(line) as [string, string | null];
      if (embedding === null) continue;
      const person = dirname(path);
      people.set(person, [...(people.get(person) ?? []), embeddingOf(embedding)]);
    }
  }
  return [...people].map(([name, embeddings]) => ({ name, embeddings }));
}
