/** @file What is told of a measurement: every image once for each list, and an end also where images were unreadable. */
import { expect, it } from "vitest";
import type { ImageRef } from "../data/identity.ts";
import type { PairVerifier, Verifier } from "../model/verifier.ts";
import { watchedVerifier } from "./watched-verifier.ts";

const verifier: Verifier = {
  image: { height: 2, width: 2 },
  embeddingSize: 1,
  concurrency: 1,
  embed: (images) => Promise.resolve(images.subarray(0, 1)),
  compare: (anchors) => Promise.resolve(anchors),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
const image = (index: number): ImageRef => ({ kind: "file", path: `${index}.png`, index });
const [a, b, c] = [image(0), image(1), image(2)];
const pair = (left: ImageRef, right: ImageRef) => ({ left, right, same: false });

it("counts what is embedded, and ends", async () => {
  const told: number[][] = [];
  const lists = [[pair(a, b), pair(b, c)], [pair(a, b)], []];
  const watched = watchedVerifier(verifier, lists, ({ images, totalImages }) =>
    told.push([images, totalImages]),
  );
  expect(await watched.embed(Float32Array.of(7), 3)).toEqual(Float32Array.of(7));
  await watched.embed(Float32Array.of(7), 1);
  watched.finish();
  expect(told).toEqual([
    [3, 5],
    [4, 5],
    [5, 5],
  ]);
});

it("counts both images of every pair where two are taken at once", async () => {
  const told: number[][] = [];
  const pairs: PairVerifier = {
    image: { height: 2, width: 2 },
    concurrency: 1,
    score: (anchors) => Promise.resolve(anchors),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const watched = watchedVerifier(pairs, [[pair(a, b), pair(b, c)]], ({ images, totalImages }) =>
    told.push([images, totalImages]),
  );
  expect(await watched.score(Float32Array.of(7), Float32Array.of(8), 1)).toEqual(Float32Array.of(7));
  watched.finish();
  expect(told).toEqual([
    [2, 4],
    [4, 4],
  ]);
});
