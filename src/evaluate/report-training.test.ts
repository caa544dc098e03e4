/** @file The training section tells of each kind of training just what its figures mean. */
import { describe, expect, it } from "vitest";
import type { Learning, ReportedEpoch } from "./report-training.ts";
import { epochsByBackbone, trainingSection } from "./report-training.ts";

const epoch = (number: number): ReportedEpoch => ({
  epoch: number,
  loss: 20 - number,
  accuracy: 0.4 + number / 100,
  validationLoss: 0.7 - number / 100,
  validationAccuracy: 0.5 + number / 100,
});
const EPOCHS = [epoch(1), epoch(2), epoch(3)];

/** Captions of the charts, and the legends within each. */
function told(learning: Learning | undefined, epochs = EPOCHS) {
  const { source } = trainingSection(epochs, learning);
  const figures = source.split("<figure>").slice(1);
  return figures.map((figure) => ({
    caption: /<figcaption>(.*?)<\/figcaption>/s.exec(figure)![1]!,
    lines: ["training", "validation"].filter((name) => figure.includes(`>${name}<`)),
  }));
}

const both = ["training", "validation"];

describe("trainingSection", () => {
  it("lays training and validation over each other for pairs and their cross-entropy, and where nothing is said", () => {
    const expected = [
      { caption: "Loss over epochs, on the training pairs and on validation pairs.", lines: both },
      { caption: "Right decisions at probability 0.5.", lines: both },
    ];
    expect(told(undefined)).toEqual(expected);
    expect(told({ loss: "bce", sampling: "pairs", photosPerPerson: 4 })).toEqual(expected);
  });

  it("says of batches by people that all their pairs are judged", () => {
    const [loss, accuracy] = told({ loss: "bce", sampling: "people", photosPerPerson: 2 });
    expect(loss!.caption).toContain("on all pairs of the training batches and on validation pairs");
    expect(accuracy).toEqual({ caption: expect.stringContaining("all pairs of a batch"), lines: both });
  });

  it("keeps another loss apart from the cross-entropy of validation pairs", () => {
    const [loss, validation, accuracy] = told({
      loss: "triplet-hard",
      sampling: "people",
      photosPerPerson: 2,
    });
    expect(loss).toEqual({
      caption: "Training loss (triplet-hard) over epochs.",
      lines: ["training"],
    });
    expect(validation).toEqual({
      caption: expect.stringContaining("not the training loss"),
      lines: ["validation"],
    });
    expect(accuracy!.lines).toEqual(both);
  });

  it("leaves decisions in training out of softmax losses over people", () => {
    const charts = told({ loss: "cosface", sampling: "people", photosPerPerson: 2 });
    expect(charts.map(({ lines }) => lines)).toEqual([["training"], ["validation"], ["validation"]]);
  });

  it("tells nothing of pairs where batches held none", () => {
    const learning = { loss: "cosface", sampling: "people", photosPerPerson: 1 };
    expect(told(learning)).toEqual([
      { caption: "Training loss (cosface) over epochs.", lines: ["training"] },
    ]);
    expect(trainingSection(EPOCHS, learning).source).toContain("one image per person");
  });

  it("tells of each backbone by itself", () => {
    const epochs = [...EPOCHS, epoch(1), epoch(2)];
    expect(epochsByBackbone(epochs).map((backbone) => backbone.map(({ epoch }) => epoch))).toEqual([
      [1, 2, 3],
      [1, 2],
    ]);
    expect(epochsByBackbone(EPOCHS.map(({ epoch: _, ...rest }) => rest))).toHaveLength(1);
    const charts = told({ loss: "cosface", sampling: "people", photosPerPerson: 1 }, epochs);
    expect(charts.map(({ caption }) => caption)).toEqual([
      "Backbone 1. Training loss (cosface) over epochs.",
      "Backbone 2. Training loss (cosface) over epochs.",
    ]);
  });

  it("draws nothing of validation where there is none", () => {
    const epochs = EPOCHS.map(({ loss, accuracy }) => ({ loss, accuracy }));
    const charts = told({ loss: "arcface", sampling: "people", photosPerPerson: 2 }, epochs);
    expect(charts.map(({ lines }) => lines)).toEqual([["training"]]);
  });
});
