/**
 * @file `npm run size [-- --against REF]` prints files and lines of src/ by room, without tests and generated code, and the
 * difference to a commit. Lines are counted by `git grep`, in the working tree and in the commit alike.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dirname, "..");

/** Files and lines of one room. */
export interface Size {
  readonly files: number;
  readonly lines: number;
}

const isCounted = (path: string) => !path.endsWith(".test.ts") && !path.startsWith("src/proto/");

/**
 * Size of each room of src/, by name; files directly in src/ count as one room named `src`.
 * @param ref a commit; the working tree, with files that git does not track yet, when left out.
 */
export function sizesOf(ref?: string, root = ROOT): Map<string, Size> {
  const where = ref === undefined ? ["--untracked"] : [ref];
  const text = execFileSync("git", ["grep", "--count", "--full-name", "-e", "", ...where, "--", "src/*.ts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const rooms = new Map<string, Size>();
  for (const [, path, count] of text.matchAll(/^(?:[^:\n]*:)?(src\/[^:\n]+):(\d+)$/gm)) {
    if (!isCounted(path!)) continue;
    const [, room, file] = path!.split("/");
    const name = file === undefined ? "src" : room!;
    const { files, lines } = rooms.get(name) ?? { files: 0, lines: 0 };
    rooms.set(name, { files: files + 1, lines: lines + Number(count) });
  }
  return rooms;
}

const NOTHING: Size = { files: 0, lines: 0 };
const signed = (value: number) => (value > 0 ? `+${value}` : String(value));

/** A table of rooms with a line for their sum; with `before`, both differences as well. */
export function sizeTable(now: ReadonlyMap<string, Size>, before?: ReadonlyMap<string, Size>): string {
  const names = [...new Set([...now.keys(), ...(before?.keys() ?? [])])].toSorted();
  const total = (rooms: ReadonlyMap<string, Size>) =>
    [...rooms.values()].reduce(
      (sum, { files, lines }) => ({ files: sum.files + files, lines: sum.lines + lines }),
      NOTHING,
    );
  const cells = (name: string, size: Size, old: Size | undefined) => [
    name,
    String(size.files),
    String(size.lines),
    ...(old === undefined ? [] : [signed(size.files - old.files), signed(size.lines - old.lines)]),
  ];
  const rows = [
    ["room", "files", "lines", ...(before === undefined ? [] : ["± files", "± lines"])],
    ...names.map((name) => cells(name, now.get(name) ?? NOTHING, before && (before.get(name) ?? NOTHING))),
    cells("total", total(now), before && total(before)),
  ];
  return rows
    .map(([name, ...numbers]) => name!.padEnd(12) + numbers.map((text) => text.padStart(9)).join(""))
    .join("\n");
}

/** The sizes of a commit; undefined where the clone does not hold it, as in a shallow one. */
function sizesIfThere(ref: string): Map<string, Size> | undefined {
  try {
    execFileSync("git", ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`], {
      cwd: ROOT,
      stdio: "ignore",
    });
  } catch {
    console.log(`no difference: ${ref} is not in this clone`);
    return undefined;
  }
  return sizesOf(ref);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { against: { type: "string" } } });
  const before = values.against === undefined ? undefined : sizesIfThere(values.against);
  console.log(sizeTable(sizesOf(), before));
}
