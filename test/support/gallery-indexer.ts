/** @file `node --import tsx gallery-indexer.ts ADDRESS NAME`: builds a gallery's index, and ends. */
import { Gallery } from "../../src/gallery/gallery.ts";

const [address, name] = process.argv.slice(2) as [string, string];
await using gallery = await Gallery.open(address, { name });
await gallery.index(1);
