/** @file The report page: figures, curves, thresholds, mistakes and the model in one self-contained HTML file. */

import type { CalibrationRecord } from "../artifact/calibration.ts";
import { scoreText, usualFar } from "../artifact/rates.ts";
import { countText } from "../base/log.ts";
import type { ModelDescription } from "../model/description.ts";
import { plotSvg } from "../model/plot.ts";
import { summaryText } from "../model/summary.ts";
import { detChart, rocChart, scoreChart } from "./chart.ts";
import type { AttributeReport } from "./groups.ts";
import { figure, Html, html, section, table } from "./html.ts";
import { ABOVE_HALF, type EvaluationReport, type Measured } from "./metrics.ts";
import type { OpenSetReport } from "./open-set.ts";
import { groupsSection } from "./report-groups.ts";
import { openSetSection } from "./report-open-set.ts";
import { REPORT_STYLE } from "./report-style.ts";
import { unknownPeopleText } from "./report-text.ts";
import { epochsByBackbone, type Learning, type ReportedEpoch, trainingSection } from "./report-training.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";
import { acceptedAt, rate, unsupportedText } from "./thresholds.ts";
import { verdict } from "./verdict.ts";

export type { Learning, ReportedEpoch } from "./report-training.ts";

/** A wrong decision with its two images. */
export interface PicturedMistake {
  readonly score: number;
  readonly same: boolean;
  /** JPEG files. */
  readonly left: Uint8Array;
  readonly right: Uint8Array;
  /** Paths of the two images. */
  readonly captions: readonly [string, string];
}

/** Content of a page; absent parts leave their sections out. */
export interface ReportContent {
  readonly title: string;
  /** Version of faceid and date, for the foot of the page. */
  readonly made: string;
  readonly model?: ModelDescription;
  /** Settings of the run by name. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly epochs?: readonly ReportedEpoch[];
  readonly learning?: Learning;
  readonly evaluation?: {
    readonly report: EvaluationReport;
    readonly scored: ScoredPairs;
    readonly calibration?: CalibrationRecord | undefined;
    /** Seed of the bootstrap behind the bands. */
    readonly seed: number;
  };
  readonly mistakes?: readonly PicturedMistake[];
  /** Error rates by groups, where they were asked for. */
  readonly groups?: readonly AttributeReport[] | undefined;
  /** Searches among many people of a dataset. */
  readonly identification?: OpenSetReport & { readonly dataset: string };
}

type Evaluation = NonNullable<ReportContent["evaluation"]>;

/** No line break between a number and its unit. */
const NO_BREAK = "\u00a0";
const percent = (value: number) => `${(100 * value).toFixed(2)}${NO_BREAK}%`;
/** A chosen rate, without trailing zeros. */
const target = (far: number) => `${Number((100 * far).toPrecision(3))}${NO_BREAK}%`;
const range = ([low, high]: readonly [number, number]) => `${percent(low)} to ${percent(high)}`;

function tile(name: string, { value, interval }: Measured): Html {
  return html`<div class="tile"><dt>${name}</dt><dd>${percent(value)}<small>${range(interval)}</small></dd></div>`;
}

/** Photographs without the face that is meant. */
function facesNotFound({ facesNotFound: count, withoutFace = [] }: EvaluationReport): Html {
  if (count === undefined) return html``;
  const meaning = count === 0 ? "" : "; their pairs count as different people";
  const list = html`<details><summary>These photographs</summary><ul>${withoutFace.map(({ path }) => html`<li>${path}</li>`)}</ul></details>`;
  return html`<p>Faces not found: ${count}${meaning}.</p>${count === 0 ? undefined : list}`;
}

/** The main figures. */
function headlineSection({ report }: Evaluation): Html {
  const { calibrated } = report;
  const tiles = [
    calibrated === undefined
      ? tile(report.loss === undefined ? "accuracy" : "accuracy at 0.5", report.accuracy)
      : tile(`accuracy at ${scoreText(calibrated.threshold)}`, calibrated.accuracy),
    tile("ROC AUC", report.auc),
    tile("equal error rate", report.eer),
    ...report.tarAtFar.flatMap(({ far, tar }) =>
      tar === undefined ? [] : [tile(`TAR at FAR ${target(far)}`, tar)],
    ),
  ];
  const limits = report.tarAtFar
    .filter(({ supported }) => !supported)
    .map(({ far }) => html` TAR at FAR ${target(far)}: ${unsupportedText(far, report.negatives)}.`);
  const unknown = unknownPeopleText(report);
  return section(
    unknown === undefined ? "Held-out people" : `People in the dataset ${report.people!.dataset}`,
    html`<dl class="tiles">${tiles}</dl>
<p>${countText(report.pairs)} pairs: ${countText(report.positives)} of the same person, ${countText(report.negatives)} of different people. Ranges are 95 % confidence intervals.${limits}</p>${unknown === undefined ? undefined : html`<p>${unknown[0]!.toUpperCase() + unknown.slice(1)}.</p>`}<p>In short: ${verdict(report)}.</p>${facesNotFound(report)}`,
  );
}

/** Accepted and refused pairs at a threshold. */
function decisions(scored: ScoredPairs, threshold: number): Html {
  const { positives, negatives } = countPairs(scored);
  const [right, wrong] = [acceptedAt(scored, threshold, 1), acceptedAt(scored, threshold, 0)];
  const row = (name: string, accepted: number, all: number, mistakes: number) => {
    const { value, interval } = rate(mistakes, all);
    return [name, String(accepted), String(all - accepted), `${percent(value)} (${range(interval)})`];
  };
  const rows = [
    row("same person", right, positives, positives - right),
    row("different people", wrong, negatives, wrong),
  ];
  return html`<figure>${table("Decisions", ["pairs of", "accepted", "refused", "errors"], rows)}
<figcaption>Decisions at the threshold ${scoreText(threshold)}.</figcaption></figure>`;
}

/** ROC, DET, the distribution of scores, and the decisions at the threshold. */
function curvesSection({ report, scored, seed }: Evaluation): Html {
  const threshold = report.calibrated?.threshold;
  const options = { threshold, seed };
  return section(
    "Error rates",
    html`<div class="charts">
${figure(rocChart(scored, options), "ROC: true accept rate over false accept rate. Band: 95 % confidence.")}
${figure(detChart(scored, options), "DET: false reject rate over false accept rate, on logarithmic axes.")}
${figure(scoreChart(scored, threshold, report.measure), "Distribution of the scores. Errors come from the overlap.")}
${decisions(scored, threshold ?? ABOVE_HALF)}
</div>`,
  );
}

/** The calibration record. */
function thresholdsSection(record: CalibrationRecord): Html {
  const { threshold, measuredFar, measuredTar, operatingPoints, data } = record;
  const rows = operatingPoints.map((point) => [
    target(point.far),
    scoreText(point.threshold),
    `${percent(point.measuredFar.value)} (${range(point.measuredFar.interval)})`,
    `${percent(point.measuredTar.value)} (${range(point.measuredTar.interval)})`,
  ]);
  const costs =
    measuredFar === undefined || measuredTar === undefined
      ? "."
      : `: false accept rate ${percent(measuredFar.value)} (${range(measuredFar.interval)}), true accept rate ${percent(measuredTar.value)} (${range(measuredTar.interval)}).`;
  const weights =
    record.weights === undefined
      ? ""
      : ` These rates were measured with the ${record.weights} version, not with this one.`;
  const usual = usualFar(record);
  const used =
    usual === undefined
      ? " It decides where no rate is asked for."
      : ` Where no rate is asked for, that for a false accept rate of ${usual} decides.`;
  const headings = ["target false accept rate", "threshold", "false accepts", "true accepts"];
  return section(
    "Thresholds",
    html`<p>Chosen on ${data.people.replace(/^\d+/, (count) => countText(Number(count)))} of ${data.dataset}: ${countText(data.positives)} pairs of the same person, ${countText(data.negatives)} of different people. The threshold with the most right decisions is ${scoreText(threshold)}${costs}${used}${weights}</p>`,
    rows.length === 0
      ? html`<p>Too few pairs of different people for a threshold at a given false accept rate.</p>`
      : table("Thresholds", headings, rows),
  );
}

const jpeg = (file: Uint8Array) => `data:image/jpeg;base64,${Buffer.from(file).toString("base64")}`;

function mistakeCard({ score, same, left, right, captions }: PicturedMistake): Html {
  const [first, second] = captions;
  return html`<figure class="mistake"><div class="pair">
<img src="${jpeg(left)}" alt="${first}" width="112" height="112"><img src="${jpeg(right)}" alt="${second}" width="112" height="112">
</div><figcaption><strong>${percent(score)}</strong> ${same ? "same person, refused" : "different people, accepted"}
<small>${first}<br>${second}</small></figcaption></figure>`;
}

/** Images of the wrong decisions furthest from the threshold. */
function mistakesSection(list: readonly PicturedMistake[]): Html {
  const group = (title: string, cards: readonly PicturedMistake[]) =>
    cards.length === 0
      ? html``
      : html`<h3>${title}</h3><div class="mistakes">${cards.map(mistakeCard)}</div>`;
  return section(
    "Most confident mistakes",
    html`<p>Wrong decisions furthest from the threshold, with the images as the network sees them. Wrong labels and bad images are often among them.</p>`,
    group(
      "False accepts",
      list.filter(({ same }) => !same),
    ),
    group(
      "False rejects",
      list.filter(({ same }) => same),
    ),
  );
}

/** Smallest scale of a drawing before it scrolls. */
const SMALLEST = 0.6;

/** The drawing and the table of layers. */
function modelSection(model: ModelDescription): Html {
  const drawing = plotSvg(model);
  const width = Number(/ width="([\d.]+)"/.exec(drawing)![1]);
  return section(
    "Model",
    html`<div class="scroll paper" style="--least: ${Math.round(SMALLEST * width)}px" tabindex="0" role="region" aria-label="Drawing of the model">${new Html(drawing)}</div>
<details><summary>All layers</summary><pre tabindex="0">${summaryText(model)}</pre></details>`,
  );
}

function settingsSection(settings: Readonly<Record<string, string>>): Html {
  const entries = Object.entries(settings).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  );
  return section("Settings", html`<dl class="settings">${entries}</dl>`);
}

function epochText(epochs: readonly ReportedEpoch[]): string[] {
  const backbones = epochsByBackbone(epochs);
  const [most = 0] = backbones.map(({ length }) => length).toSorted((a, b) => b - a);
  const counted = `${most} ${most === 1 ? "epoch" : "epochs"}`;
  if (backbones.length > 1) return [`${backbones.length} backbones of ${counted}`];
  return most === 0 ? [] : [counted];
}

/** Network, epochs and dataset in one line. */
function subtitle({ model, evaluation, epochs = [] }: ReportContent): Html {
  // The calibration of a pack was measured elsewhere than on the people of this report.
  const dataset = evaluation?.report.people?.dataset ?? evaluation?.calibration?.data.dataset;
  const parts = [
    ...(model === undefined ? [] : [`${model.name}, ${countText(model.total)} parameters`]),
    ...epochText(epochs),
    ...(dataset === undefined ? [] : [`measured on ${dataset}`]),
  ];
  return html`<p>${parts.join(" · ")}</p>`;
}

/** The whole page, which loads nothing from elsewhere. */
export function reportHtml(content: ReportContent): string {
  const {
    title,
    made,
    model,
    settings,
    epochs = [],
    learning,
    evaluation,
    mistakes: pictured = [],
    groups = [],
    identification,
  } = content;
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
<header><h1>${title}</h1>${subtitle(content)}</header>
<main>
${evaluation && headlineSection(evaluation)}
${evaluation && curvesSection(evaluation)}
${calibration && thresholdsSection(calibration)}
${groups.length === 0 ? undefined : groupsSection(groups)}
${identification && openSetSection(identification)}
${epochs.length === 0 ? undefined : trainingSection(epochs, learning)}
${pictured.length === 0 ? undefined : mistakesSection(pictured)}
${model && modelSection(model)}
${settings && settingsSection(settings)}
</main>
<footer><p>${made}</p></footer>
</body>
</html>
`.source;
}
