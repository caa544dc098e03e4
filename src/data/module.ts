/** @file Loads a user's module that lists a dataset, and checks what it exports. */
import { dirname, extname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { valueText } from "../base/check-options.ts";
import { FaceError, messageOf } from "../base/errors.ts";

/** One person in a user's module. */
export interface ModuleIdentity {
  /** Unique in the dataset. */
  readonly name: string;
  /** Paths of image files, relative to the module's folder, or absolute, or `file:` addresses. */
  readonly images: Iterable<string | URL>;
}

/** What a user's module lists. */
export interface ModuleDataset {
  /** Shown in reports; the module's path when left out. */
  readonly name?: string;
  readonly identities: Iterable<ModuleIdentity> | AsyncIterable<ModuleIdentity>;
}

/** A function that returns the list; `path` is the value of `--dataset-path`. */
export type DatasetFunction = (options: { readonly path?: string }) => ModuleDataset | Promise<ModuleDataset>;

/** The default export of a user's module: the list, or a function that returns it. */
export type DatasetModule = ModuleDataset | DatasetFunction;

/** A person with the absolute paths of the image files. */
export interface ListedIdentity {
  readonly name: string;
  readonly paths: readonly string[];
}

const MODULE_ENDINGS = new Set([".js", ".mjs", ".cjs", ".ts", ".mts"]);

/** Whether a dataset's name is the path of a module. */
export function isModulePath(dataset: string): boolean {
  return MODULE_ENDINGS.has(extname(dataset).toLowerCase());
}

const HINT = "docs/datasets.md and examples/my-dataset.js show what such a module exports";

function invalid(module: string, message: string, cause?: unknown): FaceError {
  return new FaceError("DATASET_INVALID", `${module}: ${message}`, { hint: HINT, cause });
}

const isObject = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === "object" && value !== null;

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  return isObject(value) && (Symbol.iterator in value || Symbol.asyncIterator in value);
}

async function importModule(path: string): Promise<unknown> {
  try {
    const module: unknown = await import(pathToFileURL(path).href);
    return isObject(module) ? module.default : undefined;
  } catch (error) {
    if (messageOf(error).includes("Cannot find module") && messageOf(error).includes(path)) {
      throw new FaceError("DATASET_NOT_FOUND", `there is no module ${path}`, {
        hint: "check `dataset`; a module's path ends in .js or .mjs",
        cause: error,
      });
    }
    throw invalid(path, `cannot be loaded: ${messageOf(error)}`, error);
  }
}

/** The absolute path of an image. */
function imagePath(module: string, person: string, image: unknown): string {
  if (image instanceof URL) {
    if (image.protocol !== "file:") {
      throw invalid(module, `${person} has an image at ${image.href}; only files can be read`);
    }
    return fileURLToPath(image);
  }
  if (typeof image !== "string" || image === "") {
    throw invalid(module, `${person} has an image that is ${valueText(image)}, not a path`);
  }
  return image.startsWith("file:") ? fileURLToPath(image) : resolve(dirname(module), image);
}

function listedIdentity(module: string, position: number, person: unknown): ListedIdentity {
  if (!isObject(person) || typeof person.name !== "string" || person.name === "") {
    throw invalid(module, `identity ${position} has no name`);
  }
  const { name, images } = person;
  if (!isObject(images) || !(Symbol.iterator in images)) {
    throw invalid(module, `identity ${position}, ${name}, has no list of images`);
  }
  const paths = [...(images as unknown as Iterable<unknown>)].map((image) =>
    imagePath(module, String(name), image),
  );
  return { name: String(name), paths };
}

/**
 * Loads a user's module and lists its people.
 * @param path the module's path, relative to the working directory.
 * @param dataPath argument of the module's function, if it exports one.
 * @throws FaceError `DATASET_NOT_FOUND` when the module does not exist, `DATASET_INVALID` when it does not export a list.
 */
export async function openModule(
  path: string,
  dataPath: string | undefined,
): Promise<{ name: string; people: ListedIdentity[] }> {
  const module = resolve(path);
  const exported = await importModule(module);
  let listed: unknown = exported;
  if (typeof exported === "function") {
    try {
      listed = await (exported as (options: object) => unknown)(
        dataPath === undefined ? {} : { path: dataPath },
      );
    } catch (error) {
      throw invalid(module, `its function failed: ${messageOf(error)}`, error);
    }
  }
  if (!isObject(listed) || !isIterable(listed.identities)) {
    throw invalid(module, "its default export has no identities");
  }
  const people: ListedIdentity[] = [];
  for await (const person of listed.identities) people.push(listedIdentity(module, people.length, person));
  return { name: typeof listed.name === "string" ? listed.name : path, people };
}
