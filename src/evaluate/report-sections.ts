/** @file The sections of the report page, each from what was measured or logged. */

import type { CalibrationRecord } from "../artifact/calibration.ts";
import type { ModelDescription } from "../model/description.ts";
import { plotSvg } from "../model/plot.ts";
import { summaryText } from "../model/summary.ts";
import { detChart, rocChart, scoreChart } from "./chart.ts";
import { Html, html } from "./html.ts";
import { ABOVE_HALF, type Measured } from "./metrics.ts";
import type { PicturedMistake, ReportContent } from "./report-content.ts";
import { figure, section } from "./report-parts.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";
import { rate } from "./thresholds.ts";

type Evaluation = NonNullable<ReportContent["evaluation"]>;

/** Between a number and its unit no line may break. */
const NO_BREAK = "\u00a0";
const percent = (value: number) => `${(100 * value).toFixed(2)}${NO_BREAK}%`;
/** A rate that somebody chose has no digits to spare. */
const target = (far: number) => `${Number((100 * far).toPrecision(3))}${NO_BREAK}%`;
const range = ([low, high]: readonly [number, number]) => `${percent(low)} to ${percent(high)}`;

/** A table whose first column names the row. Wide ones scroll by themselves, also by keyboard. */
function table(label: string, headings: readonly string[], rows: readonly (readonly string[])[]): Html {
  const cells = ([name, ...rest]: readonly string[]) =>
    html`<tr><th scope="row">${name}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table>
<thead><tr>${headings.map((heading) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>${rows.map(cells)}</tbody></table></div>`;
}

function tile(name: string, { value, interval }: Measured): Html {
  return html`<div class="tile"><dt>${name}</dt><dd>${percent(value)}<small>${range(interval)}</small></dd></div>`;
}

/** The figures that people ask for first. */
export function headlineSection({ report }: Evaluation): Html {
  const { calibrated } = report;
  const tiles = [
    calibrated === undefined
      ? tile("accuracy at 0.5", report.accuracy)
      : tile(`accuracy at ${calibrated.threshold.toFixed(3)}`, calibrated.accuracy),
    tile("ROC AUC", report.auc),
    tile("equal error rate", report.eer),
    ...report.tarAtFar.flatMap(({ far, tar }) =>
      tar === undefined ? [] : [tile(`TAR at FAR ${target(far)}`, tar)],
    ),
  ];
  const untold = report.tarAtFar.filter(({ supported }) => !supported).map(({ far }) => target(far));
  const limits =
    untold.length === 0
      ? undefined
      : html` Too few pairs of different people to tell a false accept rate of ${untold.join(", ")}.`;
  return section(
    "On people it has never seen",
    html`<dl class="tiles">${tiles}</dl>
<p>${report.pairs} pairs: ${report.positives} of one person, ${report.negatives} of two. Ranges hold the true figure with 95 % confidence.${limits}</p>`,
  );
}

/** How many pairs of either kind a threshold accepts. */
function decisions(scored: ScoredPairs, threshold: number): Html {
  const { positives, negatives } = countPairs(scored);
  const accepted = (kind: 0 | 1) =>
    scored.scores.reduce((sum, score, i) => sum + (scored.same[i] === kind && score >= threshold ? 1 : 0), 0);
  const [right, wrong] = [accepted(1), accepted(0)];
  const row = (name: string, accepted: number, all: number, mistakes: number) => {
    const { value, interval } = rate(mistakes, all);
    return [name, String(accepted), String(all - accepted), `${percent(value)} (${range(interval)})`];
  };
  const rows = [
    row("one person", right, positives, positives - right),
    row("two people", wrong, negatives, wrong),
  ];
  return html`<figure>${table("Decisions", ["pairs of", "accepted", "refused", "mistakes"], rows)}
<figcaption>What becomes of the pairs at the threshold ${threshold.toFixed(4)}.</figcaption></figure>`;
}

/** ROC, DET, the spread of scores, and what the threshold makes of the pairs. */
export function curvesSection({ report, scored, seed }: Evaluation): Html {
  const threshold = report.calibrated?.threshold;
  const options = { threshold, seed };
  return section(
    "Error rates",
    html`<div class="charts">
${figure(rocChart(scored, options), "ROC: how many right pairs are accepted for how many wrong ones. Band: 95 % confidence.")}
${figure(detChart(scored, options), "DET: the two kinds of mistakes against each other, on logarithmic axes.")}
${figure(scoreChart(scored, threshold), "How probabilities spread. Where the colours overlap, mistakes are made.")}
${decisions(scored, threshold ?? ABOVE_HALF)}
</div>`,
  );
}

/** The calibration record. */
export function thresholdsSection(record: CalibrationRecord): Html {
  const { threshold, measuredFar, measuredTar, operatingPoints, data } = record;
  const rows = operatingPoints.map((point) => [
    target(point.far),
    point.threshold.toFixed(4),
    `${percent(point.measuredFar.value)} (${range(point.measuredFar.interval)})`,
    `${percent(point.measuredTar.value)} (${range(point.measuredTar.interval)})`,
  ]);
  const costs =
    measuredFar === undefined || measuredTar === undefined
      ? "."
      : `, where ${percent(measuredFar.value)} (${range(measuredFar.interval)}) of the pairs of two people and ${percent(measuredTar.value)} (${range(measuredTar.interval)}) of those of one are accepted.`;
  const headings = ["wanted false accept rate", "threshold", "false accepts", "true accepts"];
  return section(
    "Thresholds",
    html`<p>Chosen on ${data.people} of ${data.dataset}: ${data.positives} pairs of one person, ${data.negatives} of two. Most decisions are right at ${threshold.toFixed(4)}${costs}</p>`,
    rows.length === 0
      ? html`<p>There were too few pairs to choose a threshold for a given false accept rate.</p>`
      : table("Thresholds", headings, rows),
  );
}

const jpeg = (file: Uint8Array) => `data:image/jpeg;base64,${Buffer.from(file).toString("base64")}`;

function mistakeCard({ score, same, left, right, captions }: PicturedMistake): Html {
  const [first, second] = captions;
  return html`<figure class="mistake"><div class="pair">
<img src="${jpeg(left)}" alt="${first}" width="112" height="112"><img src="${jpeg(right)}" alt="${second}" width="112" height="112">
</div><figcaption><strong>${percent(score)}</strong> ${same ? "one person, refused" : "two people, accepted"}
<small>${first}<br>${second}</small></figcaption></figure>`;
}

/** Photographs of the surest wrong decisions. */
export function mistakesSection(list: readonly PicturedMistake[]): Html {
  const group = (title: string, cards: readonly PicturedMistake[]) =>
    cards.length === 0
      ? html``
      : html`<h3>${title}</h3><div class="mistakes">${cards.map(mistakeCard)}</div>`;
  return section(
    "Most confident mistakes",
    html`<p>Wrong decisions furthest from the threshold, as the network sees the photographs. A wrong label or a bad photograph often stands among them.</p>`,
    group(
      "Two people taken for one",
      list.filter(({ same }) => !same),
    ),
    group(
      "One person not recognised",
      list.filter(({ same }) => same),
    ),
  );
}

/** How far a drawing may be made smaller before it scrolls instead. */
const SMALLEST = 0.6;

/** The drawing and all layers. */
export function modelSection(model: ModelDescription): Html {
  const drawing = plotSvg(model);
  const width = Number(/ width="([\d.]+)"/.exec(drawing)![1]);
  return section(
    "Model",
    html`<div class="scroll paper" style="--least: ${Math.round(SMALLEST * width)}px" tabindex="0" role="region" aria-label="Drawing of the model">${new Html(drawing)}</div>
<details><summary>All layers</summary><pre tabindex="0">${summaryText(model)}</pre></details>`,
  );
}

/** Every setting of the training. */
export function settingsSection(settings: Readonly<Record<string, string>>): Html {
  const entries = Object.entries(settings).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  );
  return section("Settings", html`<dl class="settings">${entries}</dl>`);
}
