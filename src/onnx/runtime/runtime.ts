/** @file The only import of onnxruntime-node: loads a model and runs it on our tensors. The room `onnx/` lowers graphs to
 * ONNX (`lower/`), runs models (`runtime/`) and quantises them (`quantize/`). It knows `graph/`, `proto/` and `base/`.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { nativeCall } from "../../base/worker.ts";

// From 1.29 on the runtime reports to its maker over the network unless this variable is set before it is loaded. Native
// code reads the main thread's environment only, so a module that starts threads with the runtime imports this file too.
process.env.ORT_DISABLE_TELEMETRY = "1";

/** Loads the native library when it is first needed. */
const load = () => import("onnxruntime-node");

/** Where and how a model runs. */
export interface RuntimeOptions {
  /** Threads that share the work of each operator. Default 1: several sessions use cores better. */
  readonly threads?: number;
  /**
   * Whether the runtime may use its blocked layouts. They are faster where kernels are constants; where kernels are inputs,
   * as in training, only pools would use them, with a conversion before and after each. Default true.
   */
  readonly blockedLayouts?: boolean;
  /** ONNX Runtime's execution providers in order of preference. Default `["cpu"]`. */
  readonly providers?: readonly string[];
  /** Prefix of a profile that the runtime writes when the session closes. */
  readonly profilePrefix?: string;
}

/** A loaded model. `run` blocks the calling thread. */
export interface RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param outputNames which outputs to compute; all when left out.
   * @param into memory to write outputs to, where given.
   */
  run(inputs: TensorMap, outputNames?: readonly string[], into?: TensorMap): Promise<Map<string, Tensor>>;
  close(): Promise<void>;
}

/** Views our tensor as the runtime's, without copying. */
function toRuntime(Native: typeof OrtTensor, value: Tensor): OrtTensor {
  return new Native(value.dtype as "float32", value.data as Float32Array, value.shape);
}

function fromRuntime(value: OrtTensor): Tensor {
  return {
    dtype: value.type as Tensor["dtype"],
    shape: value.dims,
    data: value.data as Float32Array,
  } as Tensor;
}

/**
 * Loads ONNX bytes.
 * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot run the model or lacks the execution provider.
 */
export async function openRuntime(bytes: Uint8Array, options: RuntimeOptions = {}): Promise<RuntimeSession> {
  const { threads = 1, providers = ["cpu"], blockedLayouts = true, profilePrefix } = options;
  const { InferenceSession: Native, Tensor: NativeTensor } = await load();
  let session: InferenceSession;
  try {
    session = await Native.create(bytes, {
      executionProviders: [...providers],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // A plan of all memory is a second region beside the one that the first run filled: up to twice the peak, and no faster.
      enableMemPattern: false,
      graphOptimizationLevel: blockedLayouts ? "all" : "extended",
      // Warnings about optimisations that did not apply are noise here.
      logSeverityLevel: 3,
      ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    });
  } catch (error) {
    throw new FaceError("MODEL_UNSUPPORTED", `ONNX Runtime cannot load the model: ${messageOf(error)}`, {
      hint: `execution providers asked for: ${providers.join(", ")}`,
      cause: error,
    });
  }
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(inputs, outputNames = session.outputNames, into) {
      const feeds = Object.fromEntries(
        [...inputs].map(([name, value]) => [name, toRuntime(NativeTensor, value)]),
      );
      const fetches = Object.fromEntries(
        outputNames.map((name) => {
          const target = into?.get(name);
          return [name, target === undefined ? null : toRuntime(NativeTensor, target)];
        }),
      );
      const results = await nativeCall(() => session.run(feeds, fetches));
      return new Map(
        outputNames.map((name) => [name, into?.get(name) ?? fromRuntime(results[name] as OrtTensor)]),
      );
    },
    async close() {
      if (profilePrefix !== undefined) session.endProfiling();
      await session.release();
    },
  };
}
