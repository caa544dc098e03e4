/** @file DIR and FPIR of an open set, on people whose answers are known. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { type EmbeddedPerson, measureIdentification } from "./identification.ts";

const DIMENSIONS = 64;
const similarity = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** People whose photographs scatter around a direction of their own. */
function crowd(people: number, photographs: number, spread: number): EmbeddedPerson[] {
  const random = new Random(3);
  const direction = () => unit(Float32Array.from({ length: DIMENSIONS }, () => random.normal()));
  return Array.from({ length: people }, (_, i) => {
    const centre = direction();
    const embeddings = Array.from({ length: photographs }, () =>
      unit(centre.map((value) => value + (spread * random.normal()) / Math.sqrt(DIMENSIONS))),
    );
    return { name: `person ${i}`, embeddings };
  });
}

describe("measureIdentification", () => {
  it("finds everybody and no stranger where people are far apart", () => {
    const result = measureIdentification(crowd(200, 3, 0.2), { similarity });
    expect(result).toMatchObject({
      enrolledPeople: 100,
      enrolledPhotographs: 200,
      mated: 100,
      strangers: 100,
      rankOne: 1,
    });
    for (const { dir } of result.points) expect(dir).toBe(1);
  });

  it("names as many strangers as it says, and no more than wanted", () => {
    const { points, strangers } = measureIdentification(crowd(600, 2, 1.5), { similarity });
    expect(strangers).toBe(300);
    expect(points.map(({ fpir }) => fpir)).toEqual(
      [3 / 300, 9 / 300, 30 / 300, 90 / 300].map((value) => expect.closeTo(value, 3)),
    );
    const dirs = points.map(({ dir }) => dir);
    expect(dirs).toEqual(dirs.toSorted((a, b) => a - b));
    expect(dirs[0]).toBeLessThan(1);
    for (const { dir, dirInterval } of points) {
      expect(dirInterval[0]).toBeLessThanOrEqual(dir);
      expect(dirInterval[1]).toBeGreaterThanOrEqual(dir);
    }
  });

  it("is the same for one seed, and another for another", () => {
    const people = crowd(300, 3, 1.5);
    const of = (seed: number) => measureIdentification(people, { similarity, seed });
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  it("enrols people with one photograph too, and never searches for them", () => {
    const singles = crowd(100, 1, 1).map(({ embeddings }, i) => ({ name: `single ${i}`, embeddings }));
    const result = measureIdentification([...crowd(20, 2, 0.2), ...singles], { similarity });
    expect(result).toMatchObject({ enrolledPeople: 60, mated: 10, strangers: 60 });
  });

  it("gives the centroid of several photographs more right answers than the nearest of them, where photographs scatter", () => {
    const people = crowd(400, 6, 2);
    const [best, centroid] = (["best", "centroid"] as const).map(
      (template) => measureIdentification(people, { similarity, template }).rankOne,
    );
    expect(centroid).toBeGreaterThan(best!);
  });

  it("refuses people of whom nobody has two photographs", () => {
    expect(() => measureIdentification(crowd(10, 1, 1), { similarity })).toThrow(
      /several photographs; 0 came/,
    );
  });
});
