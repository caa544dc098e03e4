// Embeds all photographs of a folder, compares every pair, and prints the most similar pairs.
//
//   node examples/embed-folder.js models/example photos/ada
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadModel } from "faceid";

const [path = "models/example", folder = "photos"] = process.argv.slice(2);

const model = await loadModel(path);
const files = (await readdir(folder)).filter((file) => /\.(jpe?g|png|webp)$/i.test(file)).sort();
const embeddings = await model.embed(files.map((file) => join(folder, file)));

const pairs = embeddings.flatMap((left, i) =>
  embeddings.slice(i + 1).map((right, j) => ({ names: `${files[i]} ${files[i + 1 + j]}`, left, right })),
);
const probabilities = await model.compareAll(pairs.map(({ left, right }) => [left, right]));
const ranked = pairs.map(({ names }, i) => ({ names, probability: probabilities[i] ?? 0 }));
for (const { names, probability } of ranked.sort((a, b) => b.probability - a.probability).slice(0, 10)) {
  const same = probability >= (model.calibration?.threshold ?? 0.5) ? "one person" : "two people";
  console.log(`${probability.toFixed(4)}  ${same}  ${names}`);
}
await model.close();
