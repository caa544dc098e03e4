/** @file Measurements as text tables. */
import type { FoldReport } from "./folds.ts";
import type { EvaluationReport, Measured } from "./metrics.ts";
import { unsupportedText } from "./thresholds.ts";
import { foldVerdict, verdict } from "./verdict.ts";

const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
const measured = ({
  value,
  interval: [low, high],
}: Measured | { value: number; interval: readonly number[] }) =>
  `${percent(value)}  (95 %: ${percent(low!)} to ${percent(high!)})`;

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n");
}

/** The report of held-out people. */
export function reportText(report: EvaluationReport): string {
  const rows: [string, string][] = [
    ["loss", report.loss.toFixed(4)],
    ["accuracy at 0.5", measured(report.accuracy)],
  ];
  if (report.calibrated !== undefined) {
    const { threshold, accuracy, far, tar } = report.calibrated;
    rows.push([
      `accuracy at ${threshold.toFixed(4)}`,
      `${measured(accuracy)}, threshold from validation people`,
    ]);
    rows.push(["  false accept rate", measured(far)], ["  true accept rate", measured(tar)]);
  }
  rows.push(["ROC AUC", measured(report.auc)], ["equal error rate", measured(report.eer)]);
  for (const { far, tar } of report.tarAtFar) {
    const text = tar === undefined ? unsupportedText(far, report.negatives) : measured(tar);
    rows.push([`TAR at FAR ${far}`, text]);
  }
  if (report.missing > 0) rows.push(["pairs left out", `${report.missing}, an image could not be read`]);
  const title = `on ${report.pairs} pairs of people not trained on (${report.positives} same, ${report.negatives} different)`;
  return `${title}\n${table(rows)}\n${verdict(report)}`;
}

/** The report of the k-fold protocol. */
export function foldText(report: FoldReport): string {
  const { accuracy } = report;
  const rows: [string, string][] = [
    [
      "accuracy",
      `${percent(accuracy.mean)} ± ${percent(accuracy.standardError)} (standard error over the folds)`,
    ],
    ["per fold", accuracy.perFold.map(percent).join("  ")],
    ["ROC AUC", report.auc.toFixed(4)],
    ["equal error rate", percent(report.eer)],
    ["threshold", report.threshold.toFixed(4)],
  ];
  if (report.missing > 0) rows.push(["pairs left out", `${report.missing}, an image could not be read`]);
  return `${report.folds} folds, ${report.pairs} pairs, each fold judged by the others' threshold\n${table(rows)}\n${foldVerdict(report)}`;
}
