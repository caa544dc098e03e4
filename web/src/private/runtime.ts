/** @file ONNX Runtime in the browser: loads `onnxruntime-web` from the server and runs networks by WebAssembly. */
import type * as Ort from "onnxruntime-web";
import { float32, type TensorMap } from "../../../src/base/tensor.ts";
import type { NetworkRunner, OpenNetwork } from "../../../src/faces/network.ts";

type Runtime = typeof Ort;

function runnerOf(ort: Runtime, session: Ort.InferenceSession): NetworkRunner {
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

/**
 * Loads the runtime. One thread: several take isolation from other origins, which the page would have to be served with.
 * @param path its folder on the server.
 */
export async function loadRuntime(path: string): Promise<OpenNetwork> {
  const ort = (await import(`${path}ort.wasm.min.mjs`)) as Runtime;
  ort.env.wasm.wasmPaths = path;
  ort.env.wasm.numThreads = 1;
  // Fatal errors only: all others are thrown.
  const options = { executionProviders: ["wasm"], logSeverityLevel: 4 } as const;
  return async (model) => runnerOf(ort, await ort.InferenceSession.create(model, options));
}
