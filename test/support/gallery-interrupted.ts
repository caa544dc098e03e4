/** @file `node --import tsx gallery-interrupted.ts ADDRESS`: builds a gallery's index as the command does, and gets a SIGINT as it begins. */
import { onInterrupt, systemSignals, watchSignals } from "../../src/cli/process.ts";
import { Gallery } from "../../src/gallery/gallery.ts";

const [address] = process.argv.slice(2) as [string];
watchSignals();
using interrupt = onInterrupt(() => undefined);
await using gallery = await Gallery.open(address);
await gallery.index(1, {
  signal: interrupt.signal,
  onBuild: ({ blocks }) => {
    process.stdout.write("building\n");
    const signals = blocks ? systemSignals() : undefined;
    process.kill(process.pid, "SIGINT");
    return signals;
  },
});
process.stdout.write("built\n");
