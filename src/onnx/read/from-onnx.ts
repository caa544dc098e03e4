/** @file ONNX's operators in our graph's words: one entry per operator that can be read. */
import { elementwiseImporters } from "./import-elementwise.ts";
import { imageImporters } from "./import-images.ts";
import { movingImporters } from "./import-moving.ts";
import { productImporters } from "./import-products.ts";
import { quantizedImporters } from "./import-quantized.ts";
import { resizeImporters } from "./import-resize.ts";
import { shapeImporters } from "./import-shapes.ts";
import type { Importers } from "./onnx-call.ts";

/** Operator → how to read it. docs/formats.md lists the same names; a test compares the two. */
export const onnxImporters: Importers = {
  ...elementwiseImporters,
  ...imageImporters,
  ...movingImporters,
  ...productImporters,
  ...quantizedImporters,
  ...resizeImporters,
  ...shapeImporters,
};
