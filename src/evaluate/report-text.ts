/** @file Measurements as text tables. */
import { scoreText } from "../artifact/rates.ts";
import { countText, reasonOf, shown } from "../base/log.ts";
import type { FoldReport } from "./folds.ts";
import type { EvaluationReport, FaceCounts, Measured, TarAtFar } from "./metrics.ts";
import { unsupportedText } from "./thresholds.ts";
import { foldVerdict, verdict } from "./verdict.ts";

/** Photographs that are named one by one; `--json` lists all. */
const NAMED = 20;

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

/** Rows and lines about photographs that could not be used. */
function faceLines({ facesNotFound, withoutFace = [], unreadable = [] }: Partial<FaceCounts>) {
  const rows: [string, string][] =
    facesNotFound === undefined
      ? []
      : [
          [
            "faces not found",
            `${countText(facesNotFound)}${facesNotFound > 0 ? ", their pairs count as different people" : ""}`,
          ],
        ];
  if (unreadable.length > 0) rows.push(["files not read", String(unreadable.length)]);
  const all = [...withoutFace, ...unreadable];
  const lines = all.slice(0, NAMED).map((each) => `\n    ${shown(reasonOf(each))}`);
  if (all.length > NAMED)
    lines.push(`\n    and ${countText(all.length - NAMED)} more; --json lists them all`);
  return { rows, lines: lines.join("") };
}

function tarRow({ far, supported, tar }: TarAtFar, negatives: number): [string, string] {
  if (tar === undefined) return [`TAR at FAR ${far}`, unsupportedText(far, negatives)];
  const expected = Number((far * negatives).toPrecision(2));
  return [
    `TAR at FAR ${far}`,
    measured(tar) + (supported ? "" : `; only ${expected} false accepts expected`),
  ];
}

/** Whose pairs were measured, as a part of a sentence. */
export const peopleText = ({ people }: Pick<EvaluationReport, "people">): string =>
  people?.heldOut === false ? `people of ${shown(people.dataset)}` : "people not trained on";

/** What the reader must know about them, where it is not that the model was trained on none of them. */
export const unknownPeopleText = ({ people }: Pick<EvaluationReport, "people">): string | undefined =>
  people?.heldOut === false
    ? "whether the model was trained on these people is unknown; if it was, it looks better here than it is"
    : undefined;

/** The report of held-out people, or of the people of a dataset. */
export function reportText(report: EvaluationReport): string {
  const rows: [string, string][] =
    report.loss === undefined
      ? []
      : [
          ["loss", report.loss.toFixed(4)],
          ["accuracy at 0.5", measured(report.accuracy)],
        ];
  if (report.calibrated !== undefined) {
    const { threshold, accuracy, far, tar, source = "validation people" } = report.calibrated;
    rows.push([`accuracy at ${scoreText(threshold)}`, `${measured(accuracy)}, threshold from ${source}`]);
    rows.push(["  false accept rate", measured(far)], ["  true accept rate", measured(tar)]);
  }
  rows.push(["ROC AUC", measured(report.auc)], ["equal error rate", measured(report.eer)]);
  rows.push(...report.tarAtFar.map((tar) => tarRow(tar, report.negatives)));
  if (report.missing > 0)
    rows.push(["pairs left out", `${countText(report.missing)}, an image could not be read`]);
  const faces = faceLines(report);
  const title = `on ${countText(report.pairs)} pairs of ${peopleText(report)} (${countText(report.positives)} same, ${countText(report.negatives)} different)`;
  const lines = [
    `${table([...rows, ...faces.rows])}${faces.lines}`,
    unknownPeopleText(report),
    verdict(report),
  ];
  return [title, ...lines.filter((line) => line !== undefined)].join("\n");
}

/** What the reader must know about the people of the folds, where the model was trained on some of them. */
function trainedText({ people }: FoldReport): string | undefined {
  if (people === undefined || people.trained === 0) return undefined;
  const { count, trained } = people;
  const who =
    trained === count
      ? `all ${countText(count)} people`
      : `${countText(trained)} of the ${countText(count)} people`;
  return `${who} of these pairs took part in the model's training, so it looks better here than it is; without --pairs the people held out are measured on`;
}

/** The report of the k-fold protocol. */
export function foldText(report: FoldReport): string {
  const { accuracy, intervals, negatives } = report;
  const [lowAuc, highAuc] = intervals.auc;
  const rows: [string, string][] = [
    [
      "accuracy",
      `${percent(accuracy.mean)} ± ${percent(accuracy.standardError)} (standard error over the folds)`,
    ],
    ["per fold", accuracy.perFold.map(percent).join("  ")],
    ["ROC AUC", `${report.auc.toFixed(4)}  (95 %: ${lowAuc.toFixed(4)} to ${highAuc.toFixed(4)})`],
    ["equal error rate", measured({ value: report.eer, interval: intervals.eer })],
    ...report.tarAtFar.map((tar) => tarRow(tar, negatives)),
    ["threshold", `${scoreText(report.threshold)}, mean over the folds`],
    ...report.operatingPoints.map(({ far, threshold }): [string, string] => [
      `  at FAR ${far}`,
      `${scoreText(threshold)}, chosen on these pairs`,
    ]),
  ];
  if (report.missing > 0)
    rows.push(["pairs left out", `${countText(report.missing)}, an image could not be read`]);
  const faces = faceLines(report);
  const title = `${report.folds} folds, ${countText(report.pairs)} pairs, each fold judged by the others' threshold`;
  const lines = [
    `${table([...rows, ...faces.rows])}${faces.lines}`,
    trainedText(report),
    foldVerdict(report),
  ];
  return [title, ...lines.filter((line) => line !== undefined)].join("\n");
}
