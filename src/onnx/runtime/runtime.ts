/** @file The only import of onnxruntime-node: loads a model and runs it on our tensors. The room `onnx/` lowers graphs to
 * ONNX (`lower/`), runs models (`runtime/`) and quantises them (`quantize/`). It knows `graph/`, `proto/` and `base/`.
 */
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { FaceError, messageOf } from "../../base/errors.ts";
import { platformFailure } from "../../base/platform.ts";
import type { Tensor, TensorMap } from "../../base/tensor.ts";
import { nativeCall } from "../../base/worker.ts";

// From 1.29 on the runtime reports to its maker over the network unless this variable is set before it is loaded. Native
// code reads the main thread's environment only, so a module that starts threads with the runtime imports this file too.
process.env.ORT_DISABLE_TELEMETRY = "1";

/**
 * Loads the native library when it is first needed.
 * @throws FaceError `PLATFORM_UNSUPPORTED` where it has no program for this machine.
 */
async function load() {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    throw platformFailure(error) ?? error;
  }
}

/** What each execution provider other than the processor takes. */
const TAKES: Readonly<Record<string, string>> = {
  cuda: "cuda takes an NVIDIA GPU with CUDA 12, and the files that onnxruntime-node's install script downloads",
  tensorrt: "tensorrt takes what cuda takes, and TensorRT",
  webgpu: "webgpu takes a GPU with a driver for Vulkan, Metal or Direct3D 12",
};

/** The runtime leaves out a provider that it does not know, and would compute on the processor without a word. */
function unavailable(provider: string, known: readonly string[], cause?: unknown): FaceError {
  const text = `the execution provider ${provider} does not work on this machine`;
  const others = known.filter((name) => name !== provider);
  const hint = `${TAKES[provider] ?? `this build of ONNX Runtime has ${others.join(", ")}`}; cpu works everywhere`;
  return new FaceError("CONFIG_INVALID", text, { hint, cause });
}

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

/**
 * A file that `optimizeTo` wrote. Its weights are mapped, not read: it must not change while a session is open, which would change
 * answers or end the process.
 */
export interface OptimizedFile {
  readonly path: string;
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

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * A string as the runtime takes it.
 * @throws FaceError `MODEL_UNSUPPORTED` for bytes that it would not get as they are.
 */
function textOf(bytes: Uint8Array, place: number): string {
  // The runtime reads a string up to its first zero.
  if (bytes.includes(0)) throw new FaceError("MODEL_UNSUPPORTED", `string ${place} holds a zero byte`);
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new FaceError("MODEL_UNSUPPORTED", `string ${place} is not UTF-8`, { cause: error });
  }
}

/** Views our tensor as the runtime's, without copying; strings are copied. */
function toRuntime(Native: typeof OrtTensor, value: Tensor): OrtTensor {
  if (value.dtype === "string") {
    const texts = (value.data as readonly Uint8Array[]).map(textOf);
    return new Native("string", texts, value.shape);
  }
  return new Native(value.dtype as "float32", value.data as Float32Array, value.shape);
}

function fromRuntime(value: OrtTensor): Tensor {
  if (value.type === "string") {
    const data = (value.data as string[]).map((text) => encoder.encode(text));
    return { dtype: "string", shape: value.dims, data };
  }
  return {
    dtype: value.type as Tensor["dtype"],
    shape: value.dims,
    data: value.data as Float32Array,
  } as Tensor;
}

/** What all sessions have in common. */
const ALWAYS = {
  interOpNumThreads: 1,
  executionMode: "sequential",
  // A plan of all memory is a second region beside the one that the first run filled: up to twice the peak, and no faster.
  enableMemPattern: false,
  // Fatal errors only: all others are thrown here, and the runtime would write a line for each, past our log.
  logSeverityLevel: 4,
} as const satisfies InferenceSession.SessionOptions;

/** The slower instruction for 8-bit products, whose sums are whole on all processors. */
const WHOLE_SUMS = { x64quantprecision: "1" };
let areSumsWhole: Promise<boolean> | undefined;

/**
 * Settings for a model's 8-bit products. Only where the fast instruction is wrong: with the slow one other processors take more
 * than twice the time. Only for integer convolutions: with it the runtime cannot run a DequantizeLinear with scales for each
 * channel and no zero points.
 */
async function integerSettings({
  buffer,
  byteOffset,
  length,
}: Uint8Array): Promise<typeof WHOLE_SUMS | undefined> {
  if (!Buffer.from(buffer, byteOffset, length).includes("QLinearConv")) return undefined;
  areSumsWhole ??= import("./whole-sums.ts").then(({ sumsWhole }) => sumsWhole(openRuntime));
  return (await areSumsWhole) ? undefined : WHOLE_SUMS;
}

/** How a file of `optimizeTo` is loaded: as it is, from where it is mapped. */
const MAPPED = {
  load_model_format: "ORT",
  use_memory_mapped_ort_model: "1",
  use_ort_model_bytes_directly: "1",
  use_ort_model_bytes_for_initializers: "1",
};

const cannotLoad = (error: unknown) =>
  new FaceError("MODEL_UNSUPPORTED", `ONNX Runtime cannot load the model: ${messageOf(error)}`, {
    hint: "export the model again, with operations of the table in docs/formats.md",
    cause: error,
  });

/**
 * Starts a session. Where the processor has no 8-bit dot products, the runtime replaces 8-bit weights and their zero points by
 * unsigned ones, and cannot do so twice where two operators share them, such as the two sides of a pair.
 */
async function start(
  Native: typeof InferenceSession,
  bytes: Uint8Array,
  how: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return await nativeCall(() => Native.create(bytes, how));
  } catch (error) {
    if (!messageOf(error).includes("Attempt to replace the existing tensor")) throw error;
    const { unshared } = await import("./unshared.ts");
    return await nativeCall(() => Native.create(unshared(bytes), how));
  }
}

/**
 * Writes ONNX bytes as the runtime optimises them for this machine's processor, in the runtime's own format.
 * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot load the model or write the file.
 */
export async function optimizeTo(path: string, bytes: Uint8Array): Promise<void> {
  const { InferenceSession: Native } = await load();
  try {
    const session = await nativeCall(() =>
      Native.create(bytes, {
        ...ALWAYS,
        executionProviders: ["cpu"],
        graphOptimizationLevel: "all",
        optimizedModelFilePath: path,
        extra: { session: { save_model_format: "ORT" } },
      }),
    );
    await session.release();
  } catch (error) {
    throw cannotLoad(error);
  }
}

/**
 * Loads ONNX bytes, or an optimised file.
 * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot run the model, `CONFIG_INVALID` for an execution provider
 *   that does not work here, `PLATFORM_UNSUPPORTED`.
 */
export async function openRuntime(
  model: Uint8Array | OptimizedFile,
  options: RuntimeOptions = {},
): Promise<RuntimeSession> {
  const { threads = 1, providers = ["cpu"], blockedLayouts = true, profilePrefix } = options;
  const { InferenceSession: Native, Tensor: NativeTensor, listSupportedBackends } = await load();
  const known = listSupportedBackends().map(({ name }) => name);
  const missing = providers.find((name) => !known.includes(name));
  if (missing !== undefined) throw unavailable(missing, known);
  let session: InferenceSession;
  try {
    const isFile = "path" in model;
    const how: InferenceSession.SessionOptions = {
      ...ALWAYS,
      executionProviders: [...providers],
      intraOpNumThreads: threads,
      graphOptimizationLevel: isFile ? "disabled" : blockedLayouts ? "all" : "extended",
      extra: {
        session: {
          ...(isFile ? MAPPED : await integerSettings(model)),
          // Threads that wait for the next run would otherwise spin on cores that others need.
          ...(threads > 1 && { force_spinning_stop: "1" }),
        },
      },
      ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    };
    session = isFile
      ? await nativeCall(() => Native.create(model.path, how))
      : await start(Native, model, how);
  } catch (error) {
    const refused = providers.find((name) => name !== "cpu");
    throw refused === undefined ? cannotLoad(error) : unavailable(refused, known, error);
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
