/** @file How much of few people's photographs a further training sees. */
import { expect, it } from "vitest";
import type { Identity } from "../data/identity.ts";
import { trainConfig } from "./config.ts";
import { tunedSettings } from "./finetune.ts";
import { settle } from "./network-run.ts";
import { recipeSettings } from "./recipes.ts";

const people = (count: number): Identity[] =>
  Array.from({ length: count }, (_, person) => ({
    name: `p${person}`,
    images: [0, 1].map((i) => ({ kind: "file", index: 2 * person + i, path: `${person}/${i}.jpg` })),
  }));

it("takes batches no larger than the photographs of those who do not judge, and a few of them in an epoch", () => {
  const config = { ...settle(trainConfig(recipeSettings("finetune", undefined))), replicas: 2 };
  const sizes = (count: number) => {
    const { batchSize, datasetSize, replicas } = tunedSettings(config, people(count));
    expect(batchSize % replicas).toBe(0);
    return [batchSize, datasetSize];
  };
  // Of 12 people 4 judge, of 20 too, of more a fifth.
  expect(sizes(12)).toEqual([16, 320]);
  expect(sizes(20)).toEqual([32, 640]);
  expect(sizes(1000)).toEqual([64, 1600]);
  expect(sizes(5000)).toEqual([64, 4480]);
});
