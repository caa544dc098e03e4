/** @file What importing a file of src/ loads at once: files of src/ and packages, found in the text. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

const SOURCE = join(import.meta.dirname, "../../src");

/** A static import or re-export with its names, which may be left out. */
const IMPORT = /^(?:import|export)(?! type\b)\s+(?:([\w\s{},*$]*?)\bfrom\s+)?"([^"]+)";/gm;

/** A package that a module requires as it is loaded. */
const REQUIRE = /^const \w+ = createRequire\(import\.meta\.url\)\("([^"]+)"\)/gm;

/** Whether names in braces are types alone, so that nothing is loaded. */
function isTypesOnly(names = ""): boolean {
  const [, inner, rest] = /^\{([^}]*)\}(.*)$/s.exec(names.trim()) ?? [];
  if (inner === undefined || rest?.trim() !== "") return false;
  return inner.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type "));
}

/** What a file imports at once. @param path below src/. */
function importsOf(path: string): string[] {
  const text = readFileSync(join(SOURCE, path), "utf8");
  const imported = [...text.matchAll(IMPORT)].filter(([, names]) => !isTypesOnly(names));
  const required = [...text.matchAll(REQUIRE)];
  return [...imported.map(([, , specifier]) => specifier!), ...required.map(([, specifier]) => specifier!)];
}

/** A package's name in a specifier such as `@bufbuild/protobuf/wkt`. */
function packageOf(specifier: string): string {
  const [first, second] = specifier.split("/");
  return specifier.startsWith("@") ? `${first}/${second}` : first!;
}

/**
 * The files of src/ and the packages that importing some files loads, without those that are imported later by `import()`.
 * @param starts paths below src/.
 */
export function loadedBy(starts: readonly string[]): {
  readonly files: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
} {
  const files = new Set(starts);
  const packages = new Set<string>();
  // A set is walked in the order of insertion, new members included.
  for (const path of files) {
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith(".")) files.add(posix.join(posix.dirname(path), specifier));
      else if (!specifier.startsWith("node:")) packages.add(packageOf(specifier));
    }
  }
  return { files, packages };
}
