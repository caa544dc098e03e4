/** @file `node --import tsx gallery-writer.ts ADDRESS COUNT [LARGE]`: enrols faces one by one and prints each that is kept. */
import { randomBytes, randomUUID } from "node:crypto";
import { Random } from "../../src/base/random.ts";
import { Gallery } from "../../src/gallery/gallery.ts";
import { direction } from "./gallery-stores.ts";

const [address, count, large] = process.argv.slice(2) as [string, string, string?];
const MODEL = { name: "test-model", digest: "a".repeat(64), dimensions: 128, template: "centroid" as const };

await using gallery = await Gallery.open(address, { create: MODEL, name: "written" });
const name = `writer ${process.pid}`;
const person = (await gallery.people.named(name)) ?? (await gallery.people.add(name));
const random = new Random(process.pid);
process.stdout.write("ready\n");
for (let i = 0; i < Number(count); i++) {
  const embedding = direction(random, MODEL.dimensions);
  const [id] = await gallery.faces.add([
    {
      personId: person.id,
      embedding,
      photoDigest: randomUUID(),
      ...(large === undefined ? {} : { photo: randomBytes(Number(large)) }),
    },
  ]);
  process.stdout.write(`${id}\n`);
}
