// Trains a verifier on a folder of people, measures it on people it has never seen, and writes a SavedModel.
//
//   node examples/train.js photos runs/example models/example
//
// photos/ holds one folder of photographs per person; the program creates the other two folders.
import { evaluate, exportModel, openDataset, train } from "faceid";

const [photos = "photos", run = "runs/example", models = "models/example"] = process.argv.slice(2);

const { name, identities } = await openDataset({ path: photos });
console.log(`${identities.length} people in ${name}`);

const { end } = await train({
  config: { datasetPath: photos, model: "compact", epochs: 2, datasetSize: 16 * identities.length },
  folder: run,
  listeners: [
    {
      onEpochEnd: ({ record: { epoch, loss, validationAccuracy } }) =>
        console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, validation accuracy ${validationAccuracy}`),
    },
  ],
});
console.log(`${end.reason}: ${end.detail}`);

const measured = await evaluate(run);
const { value, interval } = measured.report.auc;
console.log(`ROC AUC ${value.toFixed(3)}, between ${interval[0].toFixed(3)} and ${interval[1].toFixed(3)}`);

const folder = await exportModel({
  checkpoint: `${run}/best.safetensors`,
  measured,
  savedModelPath: models,
  modelName: "example",
  modelVersion: 1,
});
console.log(`saved model ${folder}`);
