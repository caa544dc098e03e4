/** @file Our SavedModels in genuine TensorFlow: both Python loaders give our numbers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { float32, floats, type TensorMap } from "../../src/base/tensor.ts";
import { NETWORKS, networkNamed } from "../../src/model/networks.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { lower } from "../../src/onnx/lower.ts";
import { Session } from "../../src/onnx/session.ts";
import { writeSavedModel } from "../../src/savedmodel/write.ts";
import { signaturesOf } from "../../src/workflow/export.ts";
import { openPython, readFloats, temporaryFolder, writeFloats } from "./python-environment.ts";

const python = await openPython();

const IMAGE = { height: 112, width: 112 };
const BATCH = 3;

/** First weights with running statistics and biases moved away from their round values. */
function someWeights(network: string): TensorMap {
  const { net } = siamese(networkNamed(network), IMAGE, { mode: "inference", batch: 1 });
  const random = new Random(3);
  return new Map(
    [...initialWeights(net.weights, random)].map(([name, value]) => {
      const moved = name.endsWith("kernel")
        ? floats(value)
        : floats(value).map((v) => v + 0.2 * random.uniform());
      return [name, float32(value.shape, moved)];
    }),
  );
}

describe.skipIf("unavailable" in python)("TensorFlow", () => {
  it.each(NETWORKS.map(({ name }) => name))("runs an exported %s and gives our numbers", async (network) => {
    if ("unavailable" in python) return;
    const work = temporaryFolder(network);
    const folder = join(work, "model/1");
    const [signatures, parameters] = [
      signaturesOf(network, { imageShape: [112, 112] }),
      someWeights(network),
    ];
    await writeSavedModel(folder, { signatures, parameters });
    const random = new Random(4);
    const described: Record<string, Record<string, number[]>> = {};
    const inputs = new Map<string, TensorMap>();
    for (const [name, signature] of Object.entries(signatures)) {
      const values = Object.entries(signature.inputs).map(([alias, node]) => {
        const shape = node.shape.map((side) => (typeof side === "number" ? side : BATCH));
        const value = float32(
          shape,
          Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform()),
        );
        writeFloats(join(work, `${name}.${alias}.bin`), value.data);
        return [alias, value] as const;
      });
      described[name] = Object.fromEntries(values.map(([alias, { shape }]) => [alias, [...shape]]));
      inputs.set(name, new Map(values));
    }
    writeFileSync(join(work, "inputs.json"), JSON.stringify(described));
    await python.run("run_saved_model.py", folder, work);
    for (const [name, signature] of Object.entries(signatures)) {
      await using session = await Session.open(lower({ outputs: signature.outputs }, { frozen: parameters }));
      const ours = await session.run(inputs.get(name)!);
      for (const [alias, value] of ours) {
        for (const loader of ["tf1", "tf2"]) {
          const theirs = readFloats(join(work, `${name}.${alias}.${loader}.bin`));
          // Rounding goes with the vector's greatest elements, from which the small ones were subtracted.
          const scale = Math.max(1, ...theirs.map(Math.abs));
          expect(floats(value), `${name}/${alias} by ${loader}`).toBeAllClose(theirs, {
            absolute: 1e-5 * scale,
            relative: 1e-5,
          });
        }
      }
    }
  });
});
