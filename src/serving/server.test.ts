/** @file V8's setting for the growth of the heap: an unknown one would be ignored with a warning. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const MODULE = join(import.meta.dirname, "server.ts");

async function complaint(program: string): Promise<string> {
  const flags = ["--import", "tsx", "--input-type=module", "--eval", program];
  return (await promisify(execFile)(process.execPath, flags)).stderr;
}

it("the heap's growth is a setting that this version of V8 knows", async () => {
  const [known, unknown] = await Promise.all([
    complaint(`import { letHeapGrow } from ${JSON.stringify(MODULE)}; letHeapGrow();`),
    complaint(
      `import { setFlagsFromString } from "node:v8"; setFlagsFromString("--heap-growing-percents=300");`,
    ),
  ]);
  expect(known).toBe("");
  expect(unknown).toContain("unrecognized flag");
});
