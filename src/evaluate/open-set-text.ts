/** @file Identification on an open set as a text table. */
import { scoreText } from "../artifact/rates.ts";
import { countText } from "../base/log.ts";
import type { FaceCounts, Measured } from "./metrics.ts";
import { FPIRS, type OpenSetReport } from "./open-set.ts";

const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
/** A wanted rate, without trailing zeros. */
export const rateText = (rate: number): string => `${Number((100 * rate).toPrecision(3))} %`;
const measured = ({ value, interval: [low, high] }: Measured) =>
  `${percent(value)}  (95 %: ${percent(low!)} to ${percent(high!)})`;

/** A rate that the strangers of a report are too few for, and how many it takes; a row for each. */
export const unmeasured = ({ points, strangers }: OpenSetReport): (readonly [name: string, why: string])[] =>
  FPIRS.filter((fpir) => !points.some((point) => point.fpir === fpir)).map((fpir) => [
    `DIR at FPIR ${rateText(fpir)}`,
    `n/a: takes ${countText(Math.ceil(1 / fpir))} strangers, ${countText(strangers)} were searched for`,
  ]);

/** The report of searches among many. */
export function openSetText(
  report: OpenSetReport & Partial<FaceCounts> & { readonly dataset: string },
): string {
  const { cmc, points, people, photographs, splits, enrolled, mated, strangers, template } = report;
  const rows = [
    ...cmc.map(({ rank, rate }) => [`rank ${rank}`, measured(rate)]),
    ...unmeasured(report),
    ...points.map(({ fpir, dir, threshold }) => [
      `DIR at FPIR ${rateText(fpir)}`,
      `${measured(dir)}, threshold ${scoreText(threshold)}`,
    ]),
    ...(report.facesNotFound === undefined ? [] : [["faces not found", String(report.facesNotFound)]]),
  ] as [string, string][];
  const width = Math.max(...rows.map(([name]) => name.length));
  const compared = template === "centroid" ? "the centroid of their photographs" : "their nearest photograph";
  return [
    `identification on ${report.dataset}: ${countText(people)} people with ${countText(photographs)} photographs, ${splits} splits`,
    `${countText(enrolled)} enrolled, compared by ${compared}; searched for: one photograph of ${countText(mated)} of them, and of ${countText(strangers)} strangers`,
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
  ].join("\n");
}
