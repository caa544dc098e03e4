/** @file A measurement as one self-contained page: figures, curves, thresholds, mistakes, the model itself. */
import type { ModelDescription } from "../model/description.ts";
import { plotSvg } from "../model/plot.ts";
import { summaryText } from "../model/summary.ts";
import { detChart, rocChart, scoreChart, trainingChart } from "./chart.ts";
import { Html, html } from "./html.ts";
import type { EvaluationReport, Measured } from "./metrics.ts";
import { REPORT_STYLE } from "./report-style.ts";
import type { ScoredPairs } from "./scores.ts";
import type { CalibrationRecord } from "./thresholds.ts";

/** An epoch of training, as run logs and checkpoints keep it. */
export interface ReportedEpoch {
  readonly loss: number;
  readonly accuracy: number;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
}

/** A wrong decision with its two photographs. */
export interface PicturedMistake {
  readonly score: number;
  readonly same: boolean;
  /** JPEG files. */
  readonly left: Uint8Array;
  readonly right: Uint8Array;
  /** Who or what they show, in few words. */
  readonly caption: string;
}

/** All that a page can tell; what is missing leaves its section out. */
export interface ReportContent {
  readonly title: string;
  /** Version of faceid and date, for the foot of the page. */
  readonly made: string;
  readonly model: ModelDescription;
  /** Settings of the run by name. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly epochs?: readonly ReportedEpoch[];
  readonly evaluation?: {
    readonly report: EvaluationReport;
    readonly scored: ScoredPairs;
    readonly calibration?: CalibrationRecord | undefined;
    /** Of the resampling behind the bands. */
    readonly seed: number;
  };
  readonly mistakes?: readonly PicturedMistake[];
}

/** Between a number and its unit no line may break. */
const NO_BREAK = "\u00a0";
const percent = (value: number) => `${(100 * value).toFixed(2)}${NO_BREAK}%`;
/** A rate that somebody chose has no digits to spare. */
const target = (far: number) => `${Number((100 * far).toPrecision(3))}${NO_BREAK}%`;
const range = ([low, high]: readonly [number, number]) => `${percent(low)} to ${percent(high)}`;

const section = (title: string, ...content: readonly Html[]) =>
  html`<section><h2>${title}</h2>${content}</section>`;

/** @param svg made by us, so it is put in as it is. */
const figure = (svg: string, caption: string) =>
  html`<figure>${new Html(svg)}<figcaption>${caption}</figcaption></figure>`;

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

function headline({ report }: NonNullable<ReportContent["evaluation"]>): Html {
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

function curves({ report, scored, seed }: NonNullable<ReportContent["evaluation"]>): Html {
  const threshold = report.calibrated?.threshold;
  const options = { threshold, seed };
  return section(
    "Error rates",
    html`<div class="charts">
${figure(rocChart(scored, options), "ROC: how many right pairs are accepted for how many wrong ones. Band: 95 % confidence.")}
${figure(detChart(scored, options), "DET: the two kinds of mistakes against each other, on logarithmic axes.")}
${figure(scoreChart(scored, threshold), "How probabilities spread. Where the colours overlap, mistakes are made.")}
</div>`,
  );
}

function thresholds({ threshold, operatingPoints, data }: CalibrationRecord): Html {
  const rows = operatingPoints.map((point) => [
    target(point.far),
    point.threshold.toFixed(4),
    `${percent(point.measuredFar.value)} (${range(point.measuredFar.interval)})`,
    `${percent(point.measuredTar.value)} (${range(point.measuredTar.interval)})`,
  ]);
  const headings = ["wanted false accept rate", "threshold", "false accepts", "true accepts"];
  return section(
    "Thresholds",
    html`<p>Chosen on ${data.people} of ${data.dataset}: ${data.positives} pairs of one person, ${data.negatives} of two. Most decisions are right at ${threshold.toFixed(4)}.</p>`,
    rows.length === 0
      ? html`<p>There were too few pairs to choose a threshold for a given false accept rate.</p>`
      : table("Thresholds", headings, rows),
  );
}

function training(epochs: readonly ReportedEpoch[]): Html {
  const chart = (name: "loss" | "accuracy", validation: "validationLoss" | "validationAccuracy") =>
    trainingChart(
      name,
      epochs.map((epoch, i) => ({ epoch: i + 1, training: epoch[name], validation: epoch[validation] })),
      name === "accuracy" ? "percent" : "number",
    );
  return section(
    "Training",
    html`<div class="charts">
${figure(chart("loss", "validationLoss"), "Loss over epochs, on the pairs trained on and on validation people.")}
${figure(chart("accuracy", "validationAccuracy"), "Right decisions at probability 0.5.")}
</div>`,
  );
}

const jpeg = (file: Uint8Array) => `data:image/jpeg;base64,${Buffer.from(file).toString("base64")}`;

function mistakes(list: readonly PicturedMistake[]): Html {
  const card = ({ score, same, left, right, caption }: PicturedMistake) => html`<figure class="mistake">
<div><img src="${jpeg(left)}" alt="first photograph"><img src="${jpeg(right)}" alt="second photograph"></div>
<figcaption><strong>${same ? "one person, refused" : "two people, accepted"}</strong> at ${percent(score)}<br>${caption}</figcaption></figure>`;
  return section(
    "Most confident mistakes",
    html`<p>Wrong decisions furthest from the threshold. A wrong label or a bad photograph often stands among them.</p>
<div class="mistakes">${list.map(card)}</div>`,
  );
}

function modelSection(model: ModelDescription): Html {
  return section(
    "Model",
    html`<div class="scroll paper" tabindex="0" role="region" aria-label="Drawing of the model">${new Html(plotSvg(model))}</div>
<details><summary>All layers</summary><pre tabindex="0">${summaryText(model)}</pre></details>`,
  );
}

/** The whole page; it loads nothing from anywhere. */
export function reportHtml(content: ReportContent): string {
  const { title, made, model, settings, epochs = [], evaluation, mistakes: pictured = [] } = content;
  const calibration = evaluation?.calibration;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Html(REPORT_STYLE)}</style>
</head>
<body>
<header><h1>${title}</h1><p>${model.name}, ${model.total.toLocaleString("en-US")} parameters</p></header>
<main>
${evaluation && headline(evaluation)}
${evaluation && curves(evaluation)}
${calibration && thresholds(calibration)}
${epochs.length === 0 ? undefined : training(epochs)}
${pictured.length === 0 ? undefined : mistakes(pictured)}
${modelSection(model)}
${settings && section("Settings", table("Settings", ["setting", "value"], Object.entries(settings)))}
</main>
<footer><p>${made}</p></footer>
</body>
</html>
`.source;
}
