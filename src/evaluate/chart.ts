/** @file The only door to Observable Plot: curves and histograms of a verifier as SVG drawings. */

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { scoreText } from "../artifact/rates.ts";
import { bootstrap } from "./intervals.ts";
import type { Measure } from "./metrics.ts";
import type { OpenSetPoint, OpenSetReport } from "./open-set.ts";
import { pointAtFar, type RocPoint, rocCurve } from "./roc.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";

/** Pixels; narrow, so that text stays readable on a phone. */
const WIDTH = 440;
const MARGIN = { marginTop: 28, marginRight: 24, marginBottom: 44, marginLeft: 54 };

/** Distinct for colour-blind readers, with contrast to white and to black. */
const BLUE = "#3579cf";
const ORANGE = "#bf5f0c";
const FAINT = 0.18;

const percent = (value: number) => `${Number((100 * value).toPrecision(3))} %`;

/** Coordinates with needless digits, which make up most of a drawing's size. */
const LONG_NUMBER = /-?\d+\.\d{5,}/g;

/** Plot's labels of marks ("line", "dot"), useless to screen readers; the drawing has one label. */
const GROUP_LABEL = /(<g\b[^>]*?) aria-label="[^"]*"/g;

/** The part of the DOM's types that this file needs. */
interface DrawnElement {
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
}

/**
 * Draws marks without a browser. Text and axes inherit the colour of the page.
 * @param label for screen readers.
 */
function draw(label: string, height: number, options: Plot.PlotOptions): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = Plot.plot({
    document: document as never,
    width: WIDTH,
    height,
    ...MARGIN,
    ...options,
    style: {
      background: "transparent",
      fontFamily: "Inter, Helvetica, Arial, DejaVu Sans, sans-serif",
      fontSize: "13px",
    },
  }) as unknown as DrawnElement;
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg.outerHTML
    .replaceAll(GROUP_LABEL, "$1")
    .replaceAll(LONG_NUMBER, (number) => String(Math.round(Number(number) * 100) / 100));
}

/** The corners of a step curve, without the points on the lines between them. */
function corners(curve: readonly RocPoint[]): RocPoint[] {
  return curve.filter((point, i) => {
    const [before, after] = [curve[i - 1], curve[i + 1]];
    if (before === undefined || after === undefined) return true;
    const upright = before.far === point.far && point.far === after.far;
    const level = before.tar === point.tar && point.tar === after.tar;
    return !upright && !level;
  });
}

/** The point of the curve at a threshold. */
function pointAt(curve: readonly RocPoint[], threshold: number): RocPoint {
  return curve.findLast((point) => point.threshold >= threshold) ?? curve[0]!;
}

interface BandPoint {
  readonly far: number;
  readonly low: number;
  readonly high: number;
}

/** The 95 % band of true accept rates along the given false accept rates. */
function band(pairs: ScoredPairs, fars: readonly number[], seed: number): BandPoint[] {
  const alongRates = (curve: readonly RocPoint[]) => fars.map((far) => pointAtFar(curve, far).tar);
  return bootstrap(pairs, alongRates, seed).map(([low, high], i) => ({ far: fars[i]!, low, high }));
}

export interface CurveOptions {
  /** Marked on the curve. */
  readonly threshold?: number | undefined;
  /** Seed of the bootstrap behind the band. */
  readonly seed: number;
}

/** A dot on the curve with its threshold, `dy` pixels lower. */
function markThreshold(x: number, y: number, threshold: number | undefined, dy: number): Plot.Markish[] {
  if (threshold === undefined) return [];
  const at = [{ x, y }];
  const text = () => `threshold ${scoreText(threshold)}`;
  return [
    Plot.dot(at, { x: "x", y: "y", r: 5, fill: ORANGE, stroke: "white", strokeWidth: 1.5 }),
    Plot.text(at, { x: "x", y: "y", text, dx: 10, dy, textAnchor: "start", fill: ORANGE, fontWeight: 600 }),
  ];
}

/** The meaning of a colour, above the frame. */
function legend(text: string, fill: string, frameAnchor: "top-left" | "top" | "top-right"): Plot.Markish {
  return Plot.text([text], { frameAnchor, dy: -20, fill, fontWeight: 600 });
}

/** A band around a curve over false accept rates. */
const bandMark = (points: readonly BandPoint[], y1: Along<BandPoint>, y2: Along<BandPoint>) =>
  Plot.areaY(points, { x: "far", y1, y2, fill: BLUE, fillOpacity: FAINT });

/** A curve over false accept rates. */
const curveMark = (points: readonly RocPoint[], y: Along<RocPoint>) =>
  Plot.line(points, { x: "far", y, stroke: BLUE, strokeWidth: 2.2 });

/** A height above the axis: a number of a point, by name or computed. */
type Along<P> = keyof P | ((point: P) => number);

const BAND_STEPS = 60;

/** The ROC curve with its 95 % band, as SVG; the diagonal is random guessing. */
export function rocChart(pairs: ScoredPairs, { threshold, seed }: CurveOptions): string {
  const curve = rocCurve(pairs);
  // Denser towards zero, where the curve bends.
  const fars = Array.from({ length: BAND_STEPS + 1 }, (_, i) => (i / BAND_STEPS) ** 2);
  const at = pointAt(curve, threshold ?? Number.POSITIVE_INFINITY);
  return draw("ROC curve: true accept rate over false accept rate", WIDTH * 0.8, {
    x: { label: "false accept rate", labelAnchor: "center", domain: [0, 1], tickFormat: percent, ticks: 5 },
    y: { label: "true accept rate", domain: [0, 1], tickFormat: percent, ticks: 5 },
    marks: [
      Plot.gridX({ ticks: 5, strokeOpacity: 0.1 }),
      Plot.gridY({ ticks: 5, strokeOpacity: 0.1 }),
      Plot.link([0], { x1: 0, y1: 0, x2: 1, y2: 1, strokeOpacity: 0.35, strokeDasharray: "4 4" }),
      bandMark(band(pairs, fars, seed), "low", "high"),
      curveMark(corners(curve), "tar"),
      ...markThreshold(at.far, at.tar, threshold, 14),
    ],
  });
}

const DECADES = [0.0001, 0.001, 0.01, 0.1, 1];

/**
 * The detection error trade-off as SVG: false reject rate over false accept rate on logarithmic axes, with the 95 % band,
 * cut off at the rate of one pair.
 */
export function detChart(pairs: ScoredPairs, { threshold, seed }: CurveOptions): string {
  const curve = rocCurve(pairs);
  const { positives, negatives } = countPairs(pairs);
  const [lowestFar, lowestFrr] = [1 / negatives, 1 / positives];
  const fars = Array.from({ length: BAND_STEPS + 1 }, (_, i) => lowestFar ** (1 - i / BAND_STEPS));
  const seen = ({ far, tar }: RocPoint) => far >= lowestFar && 1 - tar >= lowestFrr / 2;
  const at = pointAt(curve, threshold ?? Number.POSITIVE_INFINITY);
  const clipped = (frr: number) => Math.max(frr, lowestFrr);
  const ticksFrom = (lowest: number) => DECADES.filter((rate) => rate >= lowest);
  const axis = (lowest: number): Plot.ScaleOptions => ({
    type: "log",
    domain: [lowest, 1],
    ticks: ticksFrom(lowest),
    tickFormat: percent,
  });
  return draw("DET curve: false reject rate over false accept rate", WIDTH * 0.8, {
    x: { ...axis(lowestFar), label: "false accept rate", labelAnchor: "center" },
    y: { ...axis(lowestFrr), label: "false reject rate" },
    marks: [
      Plot.gridX({ ticks: ticksFrom(lowestFar), strokeOpacity: 0.12 }),
      Plot.gridY({ ticks: ticksFrom(lowestFrr), strokeOpacity: 0.12 }),
      bandMark(
        band(pairs, fars, seed),
        ({ low }) => clipped(1 - low),
        ({ high }) => clipped(1 - high),
      ),
      curveMark(curve.filter(seen), ({ tar }) => 1 - tar),
      ...(seen(at) ? markThreshold(at.far, 1 - at.tar, threshold, -12) : []),
    ],
  });
}

/** DIR over FPIR as SVG, with the 95 % band; FPIR on a logarithmic axis from one stranger on. */
export function dirChart(curve: readonly OpenSetPoint[]): string {
  const least = curve[0]!.fpir;
  const ticks = DECADES.filter((rate) => rate >= least);
  const low = Math.min(...curve.map(({ dir }) => dir.interval[0]!), 0.9);
  return draw("DIR over FPIR: enrolled people named rightly over strangers named", WIDTH * 0.8, {
    x: {
      type: "log",
      label: "false-positive identification rate",
      labelAnchor: "center",
      domain: [least, 1],
      ticks,
      tickFormat: percent,
    },
    y: { label: "detection and identification rate", domain: [low, 1], tickFormat: percent, ticks: 5 },
    marks: [
      Plot.gridX({ ticks, strokeOpacity: 0.12 }),
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.areaY(curve, {
        x: "fpir",
        y1: ({ dir }: OpenSetPoint) => dir.interval[0]!,
        y2: ({ dir }: OpenSetPoint) => dir.interval[1]!,
        fill: BLUE,
        fillOpacity: FAINT,
      }),
      Plot.line(curve, {
        x: "fpir",
        y: ({ dir }: OpenSetPoint) => dir.value,
        stroke: BLUE,
        strokeWidth: 2.2,
      }),
    ],
  });
}

/** The cumulative match characteristic as SVG: enrolled people among the first candidates, with 95 % intervals. */
export function cmcChart(cmc: OpenSetReport["cmc"]): string {
  const low = Math.min(...cmc.map(({ rate }) => rate.interval[0]!), 0.9);
  return draw("CMC: enrolled people among the first candidates", WIDTH * 0.8, {
    x: {
      label: "candidates",
      labelAnchor: "center",
      ticks: cmc.map(({ rank }) => rank),
      type: "log",
      tickFormat: String,
    },
    y: { label: "found among them", domain: [low, 1], tickFormat: percent, ticks: 5 },
    marks: [
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.ruleX(cmc, {
        x: "rank",
        y1: ({ rate }: OpenSetReport["cmc"][number]) => rate.interval[0]!,
        y2: ({ rate }: OpenSetReport["cmc"][number]) => rate.interval[1]!,
        stroke: BLUE,
        strokeOpacity: 0.5,
      }),
      Plot.line(cmc, {
        x: "rank",
        y: ({ rate }: OpenSetReport["cmc"][number]) => rate.value,
        stroke: BLUE,
        strokeWidth: 2.2,
        marker: "circle-fill",
      }),
    ],
  });
}

const BINS = 40;

interface Bin {
  readonly from: number;
  readonly to: number;
  readonly fraction: number;
}

/** The axis of each kind of score. */
const AXES: Readonly<Record<Measure, { readonly low: number; readonly label: string }>> = {
  probability: { low: 0, label: "probability of the same person" },
  cosine: { low: -1, label: "cosine of the embeddings" },
};

/** Fractions of the scores of one kind in bins of equal width over [low, 1]. */
function histogram({ scores, same }: ScoredPairs, kind: 0 | 1, low: number): Bin[] {
  const counts = new Array<number>(BINS).fill(0);
  const of = scores.filter((_, i) => same[i] === kind);
  const width = (1 - low) / BINS;
  for (const score of of) counts[Math.min(Math.floor((score - low) / width), BINS - 1)]!++;
  return counts.map((count, i) => ({
    from: low + i * width,
    to: low + (i + 1) * width,
    fraction: count / of.length,
  }));
}

/** Histograms of the scores of pairs of the same person and of different people, with the threshold, as SVG. */
export function scoreChart(pairs: ScoredPairs, threshold?: number, measure: Measure = "probability"): string {
  const { low, label } = AXES[measure];
  const bars = (kind: 0 | 1, fill: string) =>
    Plot.rectY(histogram(pairs, kind, low), {
      x1: "from",
      x2: "to",
      y: "fraction",
      fill,
      fillOpacity: 0.6,
      insetLeft: 0.5,
      insetRight: 0.5,
    });
  return draw("Histogram of scores of same and different pairs", WIDTH * 0.55, {
    x: { label, labelAnchor: "center", domain: [low, 1], ticks: 5 },
    y: { label: null, tickFormat: percent, ticks: 5 },
    marks: [
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      bars(0, ORANGE),
      bars(1, BLUE),
      Plot.ruleY([0]),
      legend("different people", ORANGE, "top-left"),
      legend("same person", BLUE, "top-right"),
      ...(threshold === undefined ? [] : markLine(threshold)),
    ],
  });
}

/** A vertical line at the threshold, labelled on the side with more space. */
function markLine(threshold: number): Plot.Markish[] {
  const left = threshold > 0.5;
  return [
    Plot.ruleX([threshold], { strokeWidth: 1.6, strokeDasharray: "5 3" }),
    Plot.text([threshold], {
      x: (value: number) => value,
      text: (value: number) => `threshold ${scoreText(value)}`,
      frameAnchor: "top",
      dx: left ? -8 : 8,
      dy: 6,
      textAnchor: left ? "end" : "start",
      fontWeight: 600,
    }),
  ];
}

/** One metric of an epoch in training and on validation pairs. */
export interface EpochFigure {
  readonly epoch: number;
  readonly training?: number | undefined;
  readonly validation?: number | undefined;
}

/**
 * A metric over the epochs of a run, as SVG.
 * @param name of the metric, such as `loss`.
 * @param format of the axis.
 */
export function trainingChart(
  name: string,
  figures: readonly EpochFigure[],
  format: "number" | "percent" = "number",
): string {
  const trained = figures.filter(({ training }) => training !== undefined);
  const validated = figures.filter(({ validation }) => validation !== undefined);
  const series = (points: readonly EpochFigure[], y: "training" | "validation", stroke: string) => [
    Plot.line(points, { x: "epoch", y, stroke, strokeWidth: 2.2 }),
    Plot.dot(points, { x: "epoch", y, fill: stroke, r: 2.6 }),
  ];
  return draw(`${name} over epochs`, WIDTH * 0.55, {
    x: { label: "epoch", labelAnchor: "center", ticks: Math.min(10, figures.length), tickFormat: epochText },
    y: { label: name, ticks: 5, nice: true, ...(format === "percent" ? { tickFormat: percent } : {}) },
    marks: [
      Plot.gridY({ ticks: 5, strokeOpacity: 0.12 }),
      ...series(trained, "training", ORANGE),
      ...series(validated, "validation", BLUE),
      ...(trained.length === 0 ? [] : [legend("training", ORANGE, "top")]),
      ...(validated.length === 0 ? [] : [legend("validation", BLUE, "top-right")]),
    ],
  });
}

/** Labels whole epochs only. */
const epochText = (epoch: number) => (Number.isInteger(epoch) ? String(epoch) : "");
