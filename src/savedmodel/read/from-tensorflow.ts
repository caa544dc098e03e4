/** @file How each TensorFlow operator is imported. */
import { elementwiseImporters } from "./import-elementwise.ts";
import { imageImporters } from "./import-images.ts";
import { listImporters } from "./import-lists.ts";
import { movingImporters } from "./import-moving.ts";
import { reductionImporters } from "./import-reductions.ts";
import { resizeImporters } from "./import-resize.ts";
import { shapeImporters } from "./import-shapes.ts";
import { tableImporters } from "./import-tables.ts";
import type { Importers } from "./op-call.ts";

/** Operator → importer. docs/formats.md lists the same names; a test compares the two. */
export const importers: Importers = {
  ...elementwiseImporters,
  ...imageImporters,
  ...listImporters,
  ...movingImporters,
  ...reductionImporters,
  ...resizeImporters,
  ...shapeImporters,
  ...tableImporters,
};
