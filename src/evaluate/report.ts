/** @file A measurement as one self-contained page: figures, curves, thresholds, mistakes, the model itself. */
import { Html, html } from "./html.ts";
import type { ReportContent, ReportedEpoch } from "./report-content.ts";
import {
  curvesSection,
  headlineSection,
  mistakesSection,
  modelSection,
  settingsSection,
  thresholdsSection,
} from "./report-sections.ts";
import { REPORT_STYLE } from "./report-style.ts";
import { epochsByBackbone, trainingSection } from "./report-training.ts";

export type { Learning, PicturedMistake, ReportContent, ReportedEpoch } from "./report-content.ts";

function epochText(epochs: readonly ReportedEpoch[]): string[] {
  const backbones = epochsByBackbone(epochs);
  const [most = 0] = backbones.map(({ length }) => length).toSorted((a, b) => b - a);
  const counted = `${most} ${most === 1 ? "epoch" : "epochs"}`;
  if (backbones.length > 1) return [`${backbones.length} backbones of ${counted}`];
  return most === 0 ? [] : [counted];
}

/** What the model is and what it learned from, in a line. */
function subtitle({ model, evaluation, epochs = [] }: ReportContent): Html {
  const dataset = evaluation?.calibration?.data.dataset;
  const parts = [
    ...(model === undefined ? [] : [`${model.name}, ${model.total.toLocaleString("en-US")} parameters`]),
    ...epochText(epochs),
    ...(dataset === undefined ? [] : [`measured on ${dataset}`]),
  ];
  return html`<p>${parts.join(" · ")}</p>`;
}

/** The whole page; it loads nothing from anywhere. */
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
