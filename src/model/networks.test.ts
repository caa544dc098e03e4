/** @file The networks have just the parameters that the literature and the original give them. */
import { describe, expect, it } from "vitest";
import { countValues } from "../nn/network-builder.ts";
import { NETWORKS, networkNamed } from "./networks.ts";
import { siamese } from "./siamese.ts";

const IMAGE = { height: 112, width: 112 };
const HEAD = /^(dense_distance|classifier)\//;

describe("networks", () => {
  it("faceid is the original, to the parameter", () => {
    const { net, classifier } = siamese({ network: "faceid", input: IMAGE }, { mode: "training", batch: 4 });
    expect(countValues(net.weights)).toBe(1_711_169);
    expect(countValues(net.weights.filter((weight) => weight.trainable))).toBe(1_710_849);
    expect(countValues(net.weights.filter(({ name }) => !HEAD.test(name)))).toBe(1_579_840);
    expect(classifier.shape).toEqual([4, 1]);
  });

  it("mobilefacenet has the paper's 0.99 million, counted exactly", () => {
    const { net } = siamese({ network: "mobilefacenet", input: IMAGE }, { mode: "training", batch: 4 });
    const backbone = net.weights.filter(({ name, trainable }) => trainable && !HEAD.test(name));
    expect(countValues(backbone)).toBe(1_003_136);
  });

  it("slim stays below a million parameters, a megabyte in 8 bits", () => {
    const { net } = siamese({ network: "slim", input: IMAGE }, { mode: "inference", batch: 1 });
    expect(countValues(net.weights)).toBe(931_089);
  });

  it.each(NETWORKS.flatMap(({ name }) => [96, 160, 224].map((side) => [name, side] as const)))(
    "%s takes images of %i pixels",
    (name, side) => {
      const { anchorEmbedding } = siamese(
        { network: name, input: { height: side, width: side } },
        { mode: "inference", batch: "batch" },
      );
      expect(anchorEmbedding.shape).toEqual(["batch", networkNamed(name).embeddingSize]);
    },
  );

  it("changes the flatten size with the image", () => {
    const flattened = (side: number) =>
      siamese(
        { network: "faceid", input: { height: side, width: side } },
        { mode: "inference", batch: 1 },
      ).net.layers.find(({ name }) => name === "flatten")?.outputShape;
    expect(flattened(112)).toEqual([1, 576]);
    expect(flattened(224)).toEqual([1, 7 * 7 * 64]);
  });

  it("names what there is when asked for what there is not", () => {
    expect(() => networkNamed("facenet")).toThrow("there is no model called facenet");
    for (const path of ["models/mine", "./mine/1", "mine.onnx", "C:\\models\\mine"]) {
      expect(() => networkNamed(path)).toThrow(
        expect.objectContaining({
          code: "CONFIG_INVALID",
          hint: expect.stringContaining("faceid calibrate"),
        }),
      );
    }
  });
});
