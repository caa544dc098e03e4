/** @file Opens an ONNX file with what lies beside it; its graph is read when asked for. */
import { onnxBytes } from "../runtime/model-file.ts";
import { readExternal } from "./external-data.ts";
import type { OnnxProgram } from "./import-graph.ts";
import { type OnnxReadOptions, parseModel, programOf } from "./read.ts";

/** An ONNX model in memory. */
export interface OpenOnnx {
  /** Stored weights of 8 bits or fewer that its graph has as floats. */
  readonly dequantized: number;
  /**
   * Its graph, read anew at each call.
   * @throws FaceError as `readOnnx`.
   */
  program(options?: Pick<OnnxReadOptions, "inputShapes" | "images">): OnnxProgram;
}

/**
 * Opens an ONNX file.
 * @throws FaceError `MODEL_NOT_FOUND` when it cannot be read, `MODEL_INVALID` when it is damaged or its weights are not
 *   where it says.
 */
export async function openOnnx(path: string): Promise<OpenOnnx> {
  const { model, graph } = parseModel(await onnxBytes(path), path);
  const external = await readExternal(graph, path, path);
  const stored = new Set(graph.initializer.map(({ name }) => name));
  const dequantized = graph.node.filter(
    ({ opType, input: [weights] }) => opType === "DequantizeLinear" && stored.has(weights ?? ""),
  ).length;
  return {
    dequantized,
    program: (options = {}) => programOf(model, graph, { ...options, what: path, external }),
  };
}
