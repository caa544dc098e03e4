// Measures a run or an exported model, prints its thresholds with their error rates, and writes the report page.
//
//   node examples/evaluate.js models/example report.html
import { evaluate, writeReport } from "faceid";

const [model = "models/example", page = "report.html"] = process.argv.slice(2);

const measured = await evaluate(model, { pairs: 1000 });
const { report, calibration } = measured;
console.log(`${report.pairs} pairs, equal error rate ${(100 * report.eer.value).toFixed(1)} %`);
for (const { far, threshold, measuredTar } of calibration?.operatingPoints ?? []) {
  const [low, high] = measuredTar.interval.map((rate) => `${(100 * rate).toFixed(1)} %`);
  console.log(
    `${100 * far} % false accepts: threshold ${threshold.toFixed(3)}, true accepts ${low} to ${high}`,
  );
}
console.log(`report ${await writeReport({ model, measured, output: page, title: "Example" })}`);
