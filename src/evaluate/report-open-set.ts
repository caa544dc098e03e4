/** @file The part of the report page about identification on an open set: figures, curves and intervals. */
import { scoreText } from "../artifact/rates.ts";
import { countText } from "../base/log.ts";
import { cmcChart, dirChart } from "./chart.ts";
import { figure, type Html, html, section, table } from "./html.ts";
import type { Measured } from "./metrics.ts";
import type { OpenSetReport } from "./open-set.ts";
import { rateText, unmeasured } from "./open-set-text.ts";

const percent = (value: number) => `${(100 * value).toFixed(2)}\u00a0%`;
const measured = ({ value, interval: [low, high] }: Measured) => [
  percent(value),
  `${percent(low!)} to ${percent(high!)}`,
];

/** Who is this, among many: how often the answer is right, and how often a stranger is named. */
export function openSetSection(report: OpenSetReport & { readonly dataset: string }): Html {
  const { people, splits, enrolled, mated, strangers, cmc, points, curve, template } = report;
  const compared = template === "centroid" ? "the centroid of their photographs" : "their nearest photograph";
  const rows = [
    ...cmc.slice(0, 1).map(({ rate }) => ["rank 1", ...measured(rate), "none"]),
    ...unmeasured(report).map(([name, why]) => [name, why, "", ""]),
    ...points.map(({ fpir, dir, threshold }) => [
      `DIR at FPIR ${rateText(fpir)}`,
      ...measured(dir),
      scoreText(threshold),
    ]),
  ];
  return section(
    "Identification",
    html`<p>Of the ${countText(people)} people in the dataset ${report.dataset}, ${countText(enrolled)} are enrolled and compared by ${compared}. One photograph of each of ${countText(mated)} of them and of ${countText(strangers)} strangers is searched for; means of ${splits} divisions of the people. DIR: enrolled people who are named rightly. FPIR: strangers who are named. Intervals: 95 %, by drawing the people anew, or Wilson's where every draw says the same.</p>
<div class="charts">
${curve.length === 0 ? "" : figure(dirChart(curve), "DIR over FPIR. Band: 95 % confidence.")}
${figure(cmcChart(cmc), "CMC: enrolled people among the first candidates, at any similarity.")}
</div>`,
    table("Identification", ["", "rate", "95 %", "threshold"], rows),
  );
}
