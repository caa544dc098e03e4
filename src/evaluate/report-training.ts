/** @file The training section of the report page: the curves that are meaningful for the loss and sampling. */
import { type EpochFigure, trainingChart } from "./chart.ts";
import { figure, type Html, html, section } from "./html.ts";

/** An epoch of training, as run logs and checkpoints keep it. */
export interface ReportedEpoch {
  /** Counted from 1; by default the position in the list. Each further backbone starts at 1 again. */
  readonly epoch?: number | undefined;
  readonly loss: number;
  readonly accuracy: number;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
}

/** How a network was trained, which decides what its curves mean. */
export interface Learning {
  /** As `--loss`. */
  readonly loss: string;
  /** As `--sampling`. */
  readonly sampling: string;
  /** Images per person in a batch by people. */
  readonly photosPerPerson: number;
}

/** The epochs of each backbone; an ensemble trains one after the other. */
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

interface Chart {
  readonly svg: string;
  readonly caption: string;
}

const trainedWith = ({ loss }: Pick<Learning, "loss">) => `Training loss (${loss}) over epochs.`;

/** A chart of what epochs keep of training and validation, if there are values to draw. */
function chart(
  name: string,
  epochs: readonly ReportedEpoch[],
  [training, validation]: readonly [
    "loss" | "accuracy" | undefined,
    ("validationLoss" | "validationAccuracy")?,
  ],
  caption: string,
  format: "number" | "percent" = "number",
): Chart[] {
  const figures = epochs.map(
    (epoch, i): EpochFigure => ({
      epoch: epoch.epoch ?? i + 1,
      training: training && epoch[training],
      validation: validation && epoch[validation],
    }),
  );
  const isDrawn = figures.some((figure) => (figure.training ?? figure.validation) !== undefined);
  return isDrawn ? [{ svg: trainingChart(name, figures, format), caption }] : [];
}

/** Under bce, training and validation loss are the same quantity; under other losses they are not. */
function lossCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Chart[] {
  if (loss === "bce") {
    const trainedOn = sampling === "people" ? "all pairs of the training batches" : "the training pairs";
    const caption = `Loss over epochs, on ${trainedOn} and on validation pairs.`;
    return chart("loss", epochs, ["loss", "validationLoss"], caption);
  }
  return [
    ...chart("loss", epochs, ["loss"], trainedWith({ loss })),
    ...chart(
      "cross-entropy",
      epochs,
      [undefined, "validationLoss"],
      "Cross-entropy of validation pairs, which is not the training loss.",
    ),
  ];
}

const SOFTMAX: ReadonlySet<string> = new Set(["cosface", "arcface", "adaface"]);

function accuracyCharts(epochs: readonly ReportedEpoch[], { loss, sampling }: Learning): Chart[] {
  const decisions = "Right decisions at probability 0.5";
  const all = ["accuracy", "validationAccuracy"] as const;
  if (sampling === "pairs") return chart("accuracy", epochs, all, `${decisions}.`, "percent");
  if (SOFTMAX.has(loss)) {
    const caption = `${decisions}, on validation pairs.`;
    return chart("accuracy", epochs, [undefined, "validationAccuracy"], caption, "percent");
  }
  const caption = `${decisions}; in training over all pairs of a batch, with equal total weight for same and different people.`;
  return chart("accuracy", epochs, all, caption, "percent");
}

/** Whether training batches contain two images of one person. */
const seesPairs = ({ sampling, photosPerPerson }: Learning) => sampling === "pairs" || photosPerPerson > 1;

function backboneCharts(epochs: readonly ReportedEpoch[], learning: Learning): Chart[] {
  if (seesPairs(learning)) return [...lossCharts(epochs, learning), ...accuracyCharts(epochs, learning)];
  return chart("loss", epochs, ["loss"], trainedWith(learning));
}

/** The assumption for a model that does not say how it was trained. */
const OF_PAIRS: Learning = { loss: "bce", sampling: "pairs", photosPerPerson: 1 };

/** Curves over the epochs, per backbone. */
export function trainingSection(epochs: readonly ReportedEpoch[], learning: Learning = OF_PAIRS): Html {
  const backbones = epochsByBackbone(epochs);
  const charts = backbones.flatMap((backbone, i) => {
    const name = backbones.length === 1 ? "" : `Backbone ${i + 1}. `;
    return backboneCharts(backbone, learning).map(({ svg, caption }) => figure(svg, name + caption));
  });
  const remark = seesPairs(learning)
    ? ""
    : html`<p>Batches held one image per person, so there are no pair metrics of the training.</p>`;
  return section("Training", html`<div class="charts">${charts}</div>${remark}`);
}
