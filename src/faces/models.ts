/** @file The library's word for model packs: list, add, remove, path; and opening one for use. */
import {
  type AddPackOptions,
  type OpenedPack,
  type OpenPackOptions,
  type PackStatus,
  PackStore,
} from "./packs/store.ts";

/** The model packs of this machine. `FACEID_MODELS_DIR`, `FACEID_MODELS_URL` and `FACEID_OFFLINE` hold for all of it. */
export interface Models {
  /** Every pack of the catalogue, whether it is here, and whether it is whole. */
  list(): Promise<PackStatus[]>;
  /** Fetches a pack, or copies it `from` files; tells whether anything was added. Errors as `PackStore.add`. */
  add(name: string, options?: AddPackOptions): Promise<boolean>;
  /** Removes a pack; tells whether it was here. Throws `PACK_UNKNOWN`, or `FILE_INVALID` where it may not. */
  remove(name: string): Promise<boolean>;
  /** The folder of all packs, or of one, whether it is there or not. Throws `PACK_UNKNOWN`. */
  path(name?: string): string;
}

export const models: Models = {
  list: () => new PackStore().list(),
  add: (name, options) => new PackStore().add(name, options),
  remove: (name) => new PackStore().remove(name),
  path: (name) => new PackStore().path(name),
};

/** A pack for use, checked, fetched first where it is not here. Errors as `PackStore.open`. */
export async function openPack(name: string, options?: OpenPackOptions): Promise<OpenedPack> {
  return await new PackStore().open(name, options);
}
