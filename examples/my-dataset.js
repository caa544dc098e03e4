// A dataset of your own: photographs that are not sorted into one folder per person.
//
//   faceid dataset info --dataset ./examples/my-dataset.js --dataset-path staff/
//   faceid train        --dataset ./examples/my-dataset.js --dataset-path staff/
//
// Here the name of each file begins with the person's: staff/ada-lovelace.3.jpg. The function receives the value of
// --dataset-path (or DATASET_PATH). The list may come from anywhere: a CSV file, a database, a web page.
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";

/** @type {import("faceid").DatasetFunction} */
export default async function myDataset({ path = "staff" }) {
  const photos = new Map();
  for (const file of (await readdir(path)).sort()) {
    const [, name] = /^(.+)\.\d+\.(?:jpg|jpeg|png|webp)$/.exec(file) ?? [];
    if (name === undefined) continue;
    if (!photos.has(name)) photos.set(name, []);
    photos.get(name).push(resolve(join(path, file)));
  }
  return {
    name: `staff photographs in ${path}`,
    identities: [...photos].map(([name, images]) => ({ name, images })),
  };
}
