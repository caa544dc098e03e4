/** @file The public list of the library: what `import … from "faceid"` offers. */
export type { DType } from "./base/dtype.ts";
export { type ErrorCode, FaceError } from "./base/errors.ts";
export { type Tensor, tensor } from "./base/tensor.ts";
