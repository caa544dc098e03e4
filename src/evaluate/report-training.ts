/** @file The section of the report page on how a network learned: only figures that say something about it. */
import { type EpochFigure, trainingChart } from "./chart.ts";
import { type Html, html } from "./html.ts";
import type { Learning, ReportedEpoch } from "./report-content.ts";
import { figure, section } from "./report-parts.ts";

/** The epochs of each network that was trained: two-stage runs train one tower after the other. */
export function epochsByTower(epochs: readonly ReportedEpoch[]): ReportedEpoch[][] {
  const towers: ReportedEpoch[][] = [];
  for (const each of epochs) {
    const last = towers.at(-1);
    const before = last?.at(-1)?.epoch ?? 0;
    if (last === undefined || (each.epoch ?? before + 1) <= before) towers.push([each]);
    else last.push(each);
  }
  return towers;
}

type Figures = readonly EpochFigure[];

function figuresOf(
  epochs: readonly ReportedEpoch[],
  training: "loss" | "accuracy" | undefined,
  validation: "validationLoss" | "validationAccuracy" | undefined,
): Figures {
  return epochs.map((epoch, i) => ({
    epoch: epoch.epoch ?? i + 1,
    training: training && epoch[training],
    validation: validation && epoch[validation],
  }));
}

/** A chart, unless there is nothing to draw. */
function chart(
  name: string,
  figures: Figures,
  caption: string,
  format: "number" | "percent" = "number",
): Html[] {
  const told = figures.some(({ training, validation }) => (training ?? validation) !== undefined);
  return told ? [figure(trainingChart(name, figures, format), caption)] : [];
}

/** Cross-entropy is one figure on both kinds of people; any other loss is a figure of its own. */
function lossCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Html[] {
  if (loss === "bce") {
    const trainedOn = sampling === "people" ? "all pairs of the batches trained on" : "the pairs trained on";
    const caption = `Loss over epochs, on ${trainedOn} and on validation people.`;
    return chart("loss", figuresOf(epochs, "loss", "validationLoss"), caption);
  }
  return [
    ...chart("loss", figuresOf(epochs, "loss", undefined), `The loss trained with, ${loss}, over epochs.`),
    ...chart(
      "cross-entropy",
      figuresOf(epochs, undefined, "validationLoss"),
      "Cross-entropy of pairs of validation people: another figure than the loss trained with.",
    ),
  ];
}

const SOFTMAX: ReadonlySet<string> = new Set(["cosface", "arcface", "adaface"]);

function accuracyCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Html[] {
  const decisions = "Right decisions at probability 0.5";
  if (sampling === "pairs") {
    const figures = figuresOf(epochs, "accuracy", "validationAccuracy");
    return chart("accuracy", figures, `${decisions}.`, "percent");
  }
  if (SOFTMAX.has(loss)) {
    const figures = figuresOf(epochs, undefined, "validationAccuracy");
    return chart("accuracy", figures, `${decisions}, about pairs of validation people.`, "percent");
  }
  return chart(
    "accuracy",
    figuresOf(epochs, "accuracy", "validationAccuracy"),
    `${decisions}; in training about all pairs of a batch, those of one person counting as much as those of two.`,
    "percent",
  );
}

/** Whether a network in training ever saw two photographs of one person side by side. */
const seesPairs = ({ sampling, photosPerPerson }: Learning) => sampling === "pairs" || photosPerPerson > 1;

function towerCharts(epochs: readonly ReportedEpoch[], learning: Learning): Html {
  if (seesPairs(learning)) {
    return html`<div class="charts">${[...lossCharts(epochs, learning), ...accuracyCharts(epochs, learning)]}</div>`;
  }
  const caption = `The loss trained with, ${learning.loss}, over epochs.`;
  return html`<div class="charts">${chart("loss", figuresOf(epochs, "loss", undefined), caption)}</div>
<p>Batches held one photograph of each person. Nothing was learned about pairs meanwhile, so nothing is told of them.</p>`;
}

/** Learning of pairs by their cross-entropy, which is assumed where a model does not say. */
const OF_PAIRS: Learning = { loss: "bce", sampling: "pairs", photosPerPerson: 1 };

/** Curves over the epochs, of each tower by itself. */
export function trainingSection(epochs: readonly ReportedEpoch[], learning: Learning = OF_PAIRS): Html {
  const towers = epochsByTower(epochs);
  const charts = towers.map((tower, i) =>
    towers.length === 1
      ? towerCharts(tower, learning)
      : html`<h3>Tower ${String(i + 1)}</h3>${towerCharts(tower, learning)}`,
  );
  return section("Training", ...charts);
}
