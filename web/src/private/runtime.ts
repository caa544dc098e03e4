/** @file ONNX Runtime in the browser: loads `onnxruntime-web` from the server and runs networks by WebAssembly or WebGPU. */
import type * as Ort from "onnxruntime-web";
import { float32, type TensorMap } from "../../../src/base/tensor.ts";
import type { NetworkRunner, OpenNetwork } from "../../../src/faces/network.ts";

type OrtModule = typeof Ort;

function runnerOf(ort: OrtModule, session: Ort.InferenceSession): NetworkRunner {
  return {
    async run(inputs) {
      const feeds: Record<string, Ort.Tensor> = {};
      for (const [name, { shape, data }] of inputs) {
        feeds[name] = new ort.Tensor("float32", data as Float32Array, shape);
      }
      const outputs: [string, TensorMap extends ReadonlyMap<string, infer T> ? T : never][] = [];
      for (const [name, value] of Object.entries(await session.run(feeds))) {
        outputs.push([name, float32(value.dims, value.data as Float32Array)]);
      }
      return new Map(outputs);
    },
    close: () => session.release(),
  };
}

/** How networks are opened in this browser. */
export interface Runtime {
  readonly onWebAssembly: OpenNetwork;
  /** On the graphics processor, where there is one. */
  readonly onGpu: OpenNetwork | undefined;
}

/** What of WebGPU is asked; the compiler's own types of it are not there yet. */
interface Gpu {
  requestAdapter(): Promise<object | null>;
}

/** Whether the browser gives a graphics processor. */
async function hasGpu(): Promise<boolean> {
  const { gpu } = navigator as { readonly gpu?: Gpu };
  return (await gpu?.requestAdapter().catch(() => null)) != null;
}

/**
 * Loads the runtime; the one with WebGPU is twice as large, and loaded only where there is a graphics processor. One thread:
 * several take isolation from other origins, which the page would have to be served with.
 * @param path its folder on the server.
 */
export async function loadRuntime(path: string): Promise<Runtime> {
  const isGpu = await hasGpu();
  const ort = (await import(`${path}ort.${isGpu ? "webgpu" : "wasm"}.min.mjs`)) as OrtModule;
  ort.env.wasm.wasmPaths = path;
  ort.env.wasm.numThreads = 1;
  const openerOf =
    (provider: "wasm" | "webgpu"): OpenNetwork =>
    // Fatal errors only: all others are thrown.
    async (model) =>
      runnerOf(
        ort,
        await ort.InferenceSession.create(model, { executionProviders: [provider], logSeverityLevel: 4 }),
      );
  return { onWebAssembly: openerOf("wasm"), onGpu: isGpu ? openerOf("webgpu") : undefined };
}
