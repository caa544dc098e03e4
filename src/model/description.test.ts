/** @file Descriptions of the networks, their tables and drawings. */
import { expect, describe as group, it } from "vitest";
import { countValues } from "../nn/network-builder.ts";
import { describe, type LayerDescription } from "./description.ts";
import type { ModelConfig } from "./model-config.ts";
import { NETWORKS } from "./networks.ts";
import { plotSvg } from "./plot.ts";
import { groupLayers } from "./plot-parts.ts";
import { siamese } from "./siamese.ts";
import { summarySvg, summaryText } from "./summary.ts";

const IMAGE = { height: 112, width: 112 };
const faceid = describe({ network: "faceid", input: IMAGE });

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

  it("lists the backbone's layers with any batch size", () => {
    const inner = faceid.layers[2]!.inner!;
    expect(inner).toHaveLength(23);
    expect(inner[1]).toMatchObject({ name: "conv1", outputShape: [null, 112, 112, 64], parameters: 4864 });
    expect(inner[1]!.inputs).toEqual(["input_image"]);
    expect(inner[3]).toMatchObject({ kind: "BatchNormalization", parameters: 256, trainableParameters: 128 });
    expect(inner.at(-2)).toMatchObject({ name: "flatten", outputShape: [null, 576] });
  });

  it("follows the image's size", () => {
    const large = describe({ network: "faceid", input: { height: 224, width: 160 } });
    const flatten = large.layers[2]!.inner!.find(({ name }) => name === "flatten");
    expect(flatten!.outputShape).toEqual([null, 7 * 5 * 64]);
  });

  it.each(NETWORKS.map(({ name }) => name))("agrees with the weights of %s", (network) => {
    const { net } = siamese({ network, input: IMAGE }, { mode: "training", batch: 2 });
    const count = (trainable: boolean) =>
      net.weights
        .filter((weight) => weight.trainable === trainable)
        .reduce((sum, { shape }) => sum + shape.reduce((size, side) => size * side, 1), 0);
    expect(describe({ network, input: IMAGE })).toMatchObject({
      trainable: count(true),
      nonTrainable: count(false),
    });
  });
});

group("describe for a network in two stages", () => {
  const config = {
    network: "closeup",
    input: IMAGE,
    crops: [0.55, 0.7],
    mirror: true,
    projectionDim: 128,
  };
  const model = describe(config);
  const embedding = model.layers[2]!;
  const find = (layers: readonly LayerDescription[], name: string) =>
    layers.find((each) => each.name === name)!;

  it("counts just the weights of the network in use", () => {
    const { net } = siamese(config, { mode: "inference", batch: 1 });
    expect(model.total).toBe(countValues(net.weights));
    expect(model.nonTrainable).toBe(countValues(net.weights.filter(({ trainable }) => !trainable)));
    expect(embedding.outputShape).toEqual([null, 128]);
    expect(find(model.layers, "dense_distance").parameters).toBe(128 * 128 + 128);
  });

  it("shows the members, what joins them, and the projection", () => {
    expect(embedding.inner!.map(({ name, kind, inputs }) => [name, kind, inputs])).toEqual([
      ["input_image", "InputLayer", []],
      ["view1", "Functional", ["input_image"]],
      ["view2", "Functional", ["input_image"]],
      ["views", "Concatenate", ["view1", "view2"]],
      ["metric", "Dense", ["views"]],
      ["embedding", "UnitNormalization", ["metric"]],
    ]);
  });

  it("shows that each member crops the image, and that one network takes it and its mirror image", () => {
    const view = find(embedding.inner!, "view2").inner!;
    expect(view.map(({ name, inputs, outputShape }) => [name, inputs, outputShape])).toEqual([
      ["input_image", [], [null, 112, 112, 3]],
      ["crop", ["input_image"], [null, 78, 78, 3]],
      ["mirrored", ["crop"], [null, 78, 78, 3]],
      ["closeup", ["crop", "mirrored"], [null, 256]],
      ["direction", ["closeup", "closeup"], [null, 256]],
    ]);
    const plain = describe({ network: "closeup", input: { height: 78, width: 78 } }).layers[2]!;
    expect(find(view, "closeup").inner).toEqual(plain.inner);
  });

  it("shows the Gabor features beside the members", () => {
    const { layers } = describe({ ...config, gaborCrops: [0.59] });
    const backbone = find(layers, "embedding").inner!;
    expect(find(backbone, "views").inputs).toEqual(["view1", "view2", "texture1"]);
    const texture = find(backbone, "texture1").inner!;
    expect(texture.map(({ name, inputs, outputShape }) => [name, inputs, outputShape])).toEqual([
      ["input_image", [], [null, 112, 112, 3]],
      ["crop", ["input_image"], [null, 66, 66, 3]],
      ["mirrored", ["crop"], [null, 66, 66, 3]],
      ["gabor", ["crop"], [null, 11, 11, 24]],
      ["shares", ["gabor"], [null, 2904]],
      ["sum", ["shares", "shares"], [null, 2904]],
      ["projection", ["sum"], [null, 300]],
      ["direction", ["projection"], [null, 300]],
    ]);
    expect(find(backbone, "metric").parameters).toBe((2 * 256 + 300) * 128 + 128);
  });

  it("shows a single backbone without an ensemble, and the crop that training used", () => {
    const names = (changes: Partial<ModelConfig>) =>
      describe({ network: "closeup", input: IMAGE, ...changes }).layers[2]!.inner!.map(({ name }) => name);
    expect(names({ mirror: true })).toEqual(["input_image", "mirrored", "closeup", "direction"]);
    expect(names({ projectionDim: 8 })).toEqual([
      "input_image",
      "closeup",
      "direction",
      "metric",
      "embedding",
    ]);
    expect(names({ crop: 0.7 }).slice(0, 3)).toEqual(["input_image", "crop", "rescaling"]);
  });

  it("is drawn with every member, and listed with every table", () => {
    const drawing = plotSvg(model);
    const shown = ["view1/crop", "view2/mirrored", "view1/closeup", "view2/direction", "views", "metric"];
    for (const name of shown) expect(drawing).toContain(`>${name}<`);
    expect(drawing).not.toMatch(/NaN|undefined|Infinity/);
    const titles = [...summaryText(model).matchAll(/^Model: "(.+)"$/gm)].map((match) => match[1]);
    expect(titles).toEqual([
      "closeup",
      "embedding",
      "embedding/view1",
      "embedding/view1/closeup",
      "embedding/view2",
      "embedding/view2/closeup",
    ]);
  });

  it("is drawn with the Gabor features beside the backbones, not after them", () => {
    const drawing = plotSvg(describe({ ...config, gaborCrops: [0.7] }));
    const rowOf = (name: string) =>
      Number(new RegExp(`<text x="[\\d.]+" y="([\\d.]+)" font-weight="700">${name}<`).exec(drawing)![1]);
    expect(rowOf("texture1")).toBe(rowOf("view1/crop"));
    expect(rowOf("views")).toBe(rowOf("view2/direction") + 74);
  });

  it("is drawn without boxes over each other", () => {
    for (const changes of [
      config,
      { ...config, crops: [] },
      { ...config, gaborCrops: [0.6, 0.9] },
      { crops: [0.5, 0.6, 1], mirror: true },
    ]) {
      const drawing = plotSvg(describe({ ...changes, network: "compact", input: IMAGE }));
      const boxes = [...drawing.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="300" height="50"/g)].map(
        ([, x, y]) => [Number(x), Number(y)] as const,
      );
      expect(boxes.length).toBeGreaterThan(12);
      boxes.forEach(([x, y], i) => {
        const over = boxes.slice(i + 1).filter(([a, b]) => Math.abs(a - x) < 300 && Math.abs(b - y) < 50);
        expect(over).toEqual([]);
      });
    }
  });
});

group("summaryText", () => {
  const lines = summaryText(faceid).split("\n");

  it("ends in the totals", () => {
    expect(lines.slice(-3)).toEqual([
      "Total params: 1,711,169 (6.8 MB)",
      "Trainable params: 1,710,849 (6.8 MB)",
      "Non-trainable params: 320 (1.3 kB)",
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

group("summaryText in 80 columns", () => {
  it("breaks a layer before its type, not within", () => {
    expect(summaryText(faceid, 80)).toMatch(/^ embedding +\(None, 1024\).*\n \(Functional\) /m);
  });

  const ensemble = describe({
    ...{ network: "closeup", input: IMAGE, mirror: true, projectionDim: 128 },
    ...{ crops: [0.55, 0.7], gaborCrops: [0.59] },
  });

  it("is no wider, and loses no letter", () => {
    for (const model of [faceid, ensemble]) {
      const [wide, narrow] = [summaryText(model), summaryText(model, 80)];
      const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
      expect(widest(wide)).toBeGreaterThan(80);
      expect(widest(narrow)).toBeLessThanOrEqual(80);
      const letters = (text: string) => [...text.replace(/[\s─]/g, "")].toSorted().join("");
      expect(letters(narrow)).toBe(letters(wide));
    }
  });
});

group("drawings", () => {
  it.each(NETWORKS.map(({ name }) => [name, describe({ network: name, input: IMAGE })] as const))(
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
  const inner = describe({ network: "mobilefacenet", input: IMAGE }).layers[2]!.inner!;
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
