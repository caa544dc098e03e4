/** @file Descriptions of the networks, their tables and drawings. */
import { expect, describe as group, it } from "vitest";
import { describe } from "./description.ts";
import { groupLayers } from "./layer-groups.ts";
import { NETWORKS, networkNamed } from "./networks.ts";
import { plotSvg } from "./plot.ts";
import { siamese } from "./siamese.ts";
import { summarySvg, summaryText } from "./summary.ts";

const IMAGE = { height: 112, width: 112 };
const faceid = describe(networkNamed("faceid"), IMAGE);

group("describe", () => {
  it("counts the original's parameters exactly", () => {
    expect(faceid).toMatchObject({ total: 1_711_169, trainable: 1_710_849, nonTrainable: 320 });
    expect(faceid.layers.map(({ name, kind, parameters }) => [name, kind, parameters])).toEqual([
      ["anchor_img", "InputLayer", 0],
      ["verification_img", "InputLayer", 0],
      ["embedding", "Functional", 1_579_840],
      ["distance", "Lambda", 0],
      ["dense_distance", "Dense", 131_200],
      ["classifier", "Dense", 129],
    ]);
  });

  it("connects both images to the one embedding, and both embeddings to the distance", () => {
    const inputs = Object.fromEntries(faceid.layers.map((layer) => [layer.name, layer.inputs]));
    expect(inputs).toMatchObject({
      anchor_img: [],
      embedding: ["anchor_img", "verification_img"],
      distance: ["embedding", "embedding"],
      classifier: ["dense_distance"],
    });
  });

  it("lists the tower's layers with any batch size", () => {
    const inner = faceid.layers[2]!.inner!;
    expect(inner).toHaveLength(23);
    expect(inner[1]).toMatchObject({ name: "conv1", outputShape: [null, 112, 112, 64], parameters: 4864 });
    expect(inner[1]!.inputs).toEqual(["input_image"]);
    expect(inner[3]).toMatchObject({ kind: "BatchNormalization", parameters: 256, trainableParameters: 128 });
    expect(inner.at(-2)).toMatchObject({ name: "flatten", outputShape: [null, 576] });
  });

  it("follows the image's size", () => {
    const large = describe(networkNamed("faceid"), { height: 224, width: 160 });
    const flatten = large.layers[2]!.inner!.find(({ name }) => name === "flatten");
    expect(flatten!.outputShape).toEqual([null, 7 * 5 * 64]);
  });

  it.each(NETWORKS.map((network) => [network.name, network] as const))(
    "agrees with the weights of %s",
    (_, network) => {
      const { net } = siamese(network, IMAGE, { mode: "training", batch: 2 });
      const count = (trainable: boolean) =>
        net.weights
          .filter((weight) => weight.trainable === trainable)
          .reduce((sum, { shape }) => sum + shape.reduce((size, side) => size * side, 1), 0);
      expect(describe(network, IMAGE)).toMatchObject({ trainable: count(true), nonTrainable: count(false) });
    },
  );
});

group("summaryText", () => {
  const lines = summaryText(faceid).split("\n");

  it("ends in the totals", () => {
    expect(lines.slice(-3)).toEqual([
      "Total params: 1,711,169 (6.53 MB)",
      "Trainable params: 1,710,849 (6.53 MB)",
      "Non-trainable params: 320 (1.25 KB)",
    ]);
  });

  it("has a row for every layer, in columns", () => {
    const rows = lines.filter((line) => /\(\w+\) +\(None/.test(line));
    expect(rows).toHaveLength(6 + 23);
    expect(new Set(rows.map((row) => row.indexOf("(None"))).size).toBe(1);
    expect(rows.find((row) => row.includes("distance (Lambda)"))).toMatch(
      /^ distance \(Lambda\) +\(None, 1024\) +0 {3}embedding\[0]\[0], embedding\[1]\[0]$/,
    );
  });
});

group("drawings", () => {
  it.each(NETWORKS.map((network) => [network.name, describe(network, IMAGE)] as const))(
    "of %s are well-formed and hold every name",
    (_, model) => {
      const plot = plotSvg(model);
      for (const drawing of [plot, summarySvg(model)]) {
        const opened = drawing.match(/<\w+[^>]*(?<!\/)>/g)!;
        expect(opened).toHaveLength(drawing.match(/<\/\w+>/g)!.length);
        expect(drawing).not.toMatch(/NaN|undefined|Infinity/);
      }
      const inner = model.layers.find((layer) => layer.inner !== undefined)!.inner!;
      for (const { name } of [...model.layers, ...groupLayers(inner)]) expect(plot).toContain(`>${name}<`);
    },
  );
});

group("groupLayers", () => {
  const inner = describe(networkNamed("mobilefacenet"), IMAGE).layers[2]!.inner!;
  const groups = groupLayers(inner);

  it("puts a block into one box", () => {
    expect(groups.find(({ name }) => name === "block2")).toEqual({
      name: "block2",
      kind: "Conv2D",
      label: "residual block of 9 layers",
      outputShape: [null, 28, 28, 64],
      parameters: 19_072,
    });
    expect(groups.find(({ name }) => name === "conv1")!.label).toBe("Conv2D, norm, PReLU");
  });

  it("loses no parameter", () => {
    const sum = (list: readonly { parameters: number }[]) =>
      list.reduce((total, { parameters }) => total + parameters, 0);
    expect(sum(groups)).toBe(sum(inner));
    expect(groups.length).toBeLessThan(25);
  });
});
