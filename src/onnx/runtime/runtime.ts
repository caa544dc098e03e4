/** @file The only door to onnxruntime-node: our tensors in, our tensors out. */
// First, since imports take effect in their order.
import "./disable-telemetry.ts";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { nativeCall } from "../../base/worker.ts";

/** Where and how a model runs. */
export interface RuntimeOptions {
  /** Threads that share the work of each operator. Default 1: sessions side by side use cores better. */
  readonly threads?: number;
  /**
   * Whether the runtime may keep values in blocked layouts of its own. It pays where kernels are constants; where they
   * are inputs, as in training, only pools would change, with two copies around each. Default true.
   */
  readonly blockedLayouts?: boolean;
  /** ONNX Runtime's execution providers in order of preference. Default `["cpu"]`. */
  readonly providers?: readonly string[];
  /** Prefix of a profile that the runtime writes when the session closes. */
  readonly profilePrefix?: string;
}

/** A loaded model. `run` occupies the calling thread until it is done. */
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
function toRuntime(value: Tensor): OrtTensor {
  return new OrtTensor(value.dtype as "float32", value.data as Float32Array, value.shape);
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
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(bytes, {
      executionProviders: [...providers],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: blockedLayouts ? "all" : "extended",
      // Warnings about optimisations that did not apply are of no use to anyone here.
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
      const feeds = Object.fromEntries([...inputs].map(([name, value]) => [name, toRuntime(value)]));
      const fetches = Object.fromEntries(
        outputNames.map((name) => {
          const target = into?.get(name);
          return [name, target === undefined ? null : toRuntime(target)];
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
