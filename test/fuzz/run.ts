/** @file `npm run fuzz [cases] [seed]`: damages model files in a hundred thousand ways and counts what comes of it. */
import fc from "fast-check";
import { DAMAGES } from "../support/model-damage.ts";
import { ONNX_DAMAGES } from "../support/onnx-damage.ts";

const [cases = 100_000, seed = 1] = process.argv.slice(2).map(Number);
const kinds = Object.entries({ ...DAMAGES, ...ONNX_DAMAGES });
const MEGABYTE = 2 ** 20;

/** Failures that were printed: each place in the code once. */
const shown = new Set<string>();
let failures = 0;
for (const [kind, damages] of kinds) {
  const counts = { read: 0, refused: 0, failed: 0 };
  let slowestMs = 0;
  const numRuns = Math.ceil(cases / kinds.length);
  const property = fc.asyncProperty(damages, async (attempt) => {
    const startedMs = performance.now();
    try {
      counts[await attempt()]++;
    } catch (error) {
      counts.failed++;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const place = text.split("\n").slice(0, 4).join("\n");
      if (!shown.has(place)) console.error(`${kind}: ${place}`);
      shown.add(place);
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  });
  await fc.assert(property, { numRuns, seed });
  failures += counts.failed;
  const peak = (process.resourceUsage().maxRSS * 1024) / MEGABYTE;
  console.log(
    `${kind.padEnd(20)} ${numRuns} cases: ${counts.refused} refused, ${counts.read} read, ${counts.failed} failed; ` +
      `slowest ${slowestMs.toFixed(0)} ms, peak ${peak.toFixed(0)} MB`,
  );
}
process.exitCode = failures === 0 ? 0 : 1;
