/** @file Model packs as the library exports them: list, add, remove, path, and opening one. */
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import {
  type AddPackOptions,
  type OpenedPack,
  type OpenPackOptions,
  type PackStatus,
  PackStore,
} from "./packs/store.ts";

/** What the options of opening a pack may be. */
export const openOptions = {
  log: given.log.optional(),
  progress: given.call.optional(),
  signal: given.signal.optional(),
} satisfies Record<keyof OpenPackOptions, z.ZodType>;
const addOptions = z.strictObject({
  ...openOptions,
  from: z.union([given.text, z.array(given.text)], "a path or a list of paths").optional(),
} satisfies Record<keyof AddPackOptions, z.ZodType>);

/** The model packs of this machine. `FACEID_MODELS_DIR`, `FACEID_MODELS_URL` and `FACEID_OFFLINE` hold for all of it. */
export interface Models {
  /** All packs of the catalogue and their state on this machine. */
  list(): Promise<PackStatus[]>;
  /** Downloads a pack, or copies it `from` files; returns whether it was added. Errors as `PackStore.add`. */
  add(name: string, options?: AddPackOptions): Promise<boolean>;
  /** Removes a pack; returns whether it was there. Throws `PACK_UNKNOWN`, or `FILE_INVALID` without permission. */
  remove(name: string): Promise<boolean>;
  /** The folder of all packs, or of one; it may not exist. Throws `PACK_UNKNOWN`. */
  path(name?: string): string;
}

export const models: Models = {
  list: () => new PackStore().list(),
  add: async (name, options = {}) => {
    checkOptions("models.add", addOptions, options);
    return await new PackStore().add(name, options);
  },
  remove: (name) => new PackStore().remove(name),
  path: (name) => new PackStore().path(name),
};

/** Whether a pack is on this machine, whole or damaged. */
export const hasPack = async (name: string): Promise<boolean> => await new PackStore().has(name);

/** Opens a checked pack and downloads it first if needed. Errors as `PackStore.open`. */
export async function openPack(name: string, options?: OpenPackOptions): Promise<OpenedPack> {
  return await new PackStore().open(name, options);
}
