/** @file The section of the report page on how a network learned: only figures that say something about it. */
import { type EpochFigure, trainingChart } from "./chart.ts";
import { type Html, html } from "./html.ts";
import type { Learning, ReportedEpoch } from "./report-content.ts";
import { figure, section } from "./report-parts.ts";

/** The epochs of each network that was trained: two-stage runs train one backbone after the other. */
export function epochsByBackbone(epochs: readonly ReportedEpoch[]): ReportedEpoch[][] {
  const backbones: ReportedEpoch[][] = [];
  for (const each of epochs) {
    const last = backbones.at(-1);
    const before = last?.at(-1)?.epoch ?? 0;
    if (last === undefined || (each.epoch ?? before + 1) <= before) backbones.push([each]);
    else last.push(each);
  }
  return backbones;
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

/** A drawing with what it shows. */
interface Chart {
  readonly svg: string;
  readonly caption: string;
}

const trainedWith = ({ loss }: Pick<Learning, "loss">) => `The loss trained with, ${loss}, over epochs.`;

/** A chart, unless there is nothing to draw. */
function chart(
  name: string,
  figures: Figures,
  caption: string,
  format: "number" | "percent" = "number",
): Chart[] {
  const told = figures.some(({ training, validation }) => (training ?? validation) !== undefined);
  return told ? [{ svg: trainingChart(name, figures, format), caption }] : [];
}

/** Cross-entropy is one figure on both kinds of people; any other loss is a figure of its own. */
function lossCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Chart[] {
  if (loss === "bce") {
    const trainedOn = sampling === "people" ? "all pairs of the batches trained on" : "the pairs trained on";
    const caption = `Loss over epochs, on ${trainedOn} and on validation people.`;
    return chart("loss", figuresOf(epochs, "loss", "validationLoss"), caption);
  }
  return [
    ...chart("loss", figuresOf(epochs, "loss", undefined), trainedWith({ loss })),
    ...chart(
      "cross-entropy",
      figuresOf(epochs, undefined, "validationLoss"),
      "Cross-entropy of pairs of validation people: another figure than the loss trained with.",
    ),
  ];
}

const SOFTMAX: ReadonlySet<string> = new Set(["cosface", "arcface", "adaface"]);

function accuracyCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Chart[] {
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

function backboneCharts(epochs: readonly ReportedEpoch[], learning: Learning): Chart[] {
  if (seesPairs(learning)) return [...lossCharts(epochs, learning), ...accuracyCharts(epochs, learning)];
  return chart("loss", figuresOf(epochs, "loss", undefined), trainedWith(learning));
}

/** Learning of pairs by their cross-entropy, which is assumed where a model does not say. */
const OF_PAIRS: Learning = { loss: "bce", sampling: "pairs", photosPerPerson: 1 };

/** Curves over the epochs, of each backbone by itself. */
export function trainingSection(epochs: readonly ReportedEpoch[], learning: Learning = OF_PAIRS): Html {
  const backbones = epochsByBackbone(epochs);
  const charts = backbones.flatMap((backbone, i) => {
    const name = backbones.length === 1 ? "" : `Backbone ${i + 1}. `;
    return backboneCharts(backbone, learning).map(({ svg, caption }) => figure(svg, name + caption));
  });
  const remark = seesPairs(learning)
    ? ""
    : html`<p>Batches held one photograph of each person. Nothing was learned about pairs meanwhile, so nothing is told of them.</p>`;
  return section("Training", html`<div class="charts">${charts}</div>${remark}`);
}
