// Runs any SavedModel in this process, including those of TensorFlow: lists its signatures and runs one on zeros.
//
//   node examples/foreign-model.js models/example/1 serving_default
import { float32, loadSignatures } from "faceid";

const [folder = "models/example/1", name = "serving_default"] = process.argv.slice(2);

const model = await loadSignatures(folder);
for (const [signature, { inputs, outputs }] of model.signatures) {
  console.log(`${signature}: ${[...inputs.keys()].join(", ")} → ${[...outputs.keys()].join(", ")}`);
}

const signature = model.signatures.get(name);
if (signature === undefined) throw new Error(`${folder} has no signature ${name}`);
const zeros = [...signature.inputs].map(([input, { shape = [] }]) => {
  const sides = shape.map((side) => Math.max(side, 1));
  return /** @type {const} */ ([
    input,
    float32(sides, new Float32Array(sides.reduce((size, side) => size * side, 1))),
  ]);
});
for (const [output, { shape, data }] of await model.run(name, new Map(zeros))) {
  console.log(`${output} [${shape.join(", ")}]: ${data.slice(0, 3).join(", ")}`);
}
await model.close();
