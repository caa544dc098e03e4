/** @file The view of the model: its error rates over the threshold, and its facts. */

import { usualFar } from "../../src/artifact/rates.ts";
import type { ServiceFacts } from "../../src/client/gallery-client.ts";
import { freshId, h, s } from "./dom.ts";
import { failureText, keyInUse } from "./server.ts";
import type { Context, View } from "./view.ts";
import { count, datasetName, number, percent, t } from "./words.ts";

type Calibration = NonNullable<ServiceFacts["model"]["calibration"]>;
type Rate = Calibration["points"][number]["measuredFar"];

interface Measured {
  readonly threshold: number;
  readonly far: Rate;
  readonly frr: Rate;
}

/** The points by rising threshold; false rejects are what true accepts leave. */
function measuredOf({ points }: Calibration): Measured[] {
  return points
    .map(({ threshold, measuredFar: far, measuredTar: { estimate, low, high } }) => ({
      threshold,
      far,
      frr: { estimate: 1 - estimate, low: 1 - high, high: 1 - low },
    }))
    .toSorted((a, b) => a.threshold - b.threshold);
}

/** No rate is drawn below this. */
const LEAST = 1e-5;
const logOf = (rate: number) => Math.log10(Math.max(rate, LEAST));

/** A rate between the measured thresholds: its logarithm follows a line. */
function between(points: readonly Measured[], which: "far" | "frr", threshold: number): number {
  const right = Math.min(
    Math.max(
      points.findIndex((point) => point.threshold >= threshold),
      1,
    ),
    points.length - 1,
  );
  const [a, b] = [points[right - 1]!, points[right]!];
  const part = (threshold - a.threshold) / (b.threshold - a.threshold);
  return 10 ** (logOf(a[which].estimate) + part * (logOf(b[which].estimate) - logOf(a[which].estimate)));
}

const HEIGHT = 340;
/** So that letters keep their size on phones. */
const widthOfChart = () => (matchMedia("(max-width: 760px)").matches ? 400 : 960);
const EDGE = { left: 64, right: 16, top: 16, bottom: 44 };

/** The chart; the function moves its line. */
function chart(points: readonly Measured[]): { element: SVGSVGElement; move(threshold: number): void } {
  const width = widthOfChart();
  const [first, last] = [points[0]!.threshold, points.at(-1)!.threshold];
  const x = (threshold: number) =>
    EDGE.left + ((threshold - first) / (last - first)) * (width - EDGE.left - EDGE.right);
  const y = (rate: number) =>
    EDGE.top + (logOf(rate) / Math.log10(LEAST)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = (which: "far" | "frr") =>
    points
      .map((point, i) => `${i === 0 ? "M" : "L"}${x(point.threshold)} ${y(point[which].estimate)}`)
      .join("");
  const band = (which: "far" | "frr") =>
    `M${points.map((point) => `${x(point.threshold)} ${y(point[which].high)}`).join("L")}L${points
      .toReversed()
      .map((point) => `${x(point.threshold)} ${y(point[which].low)}`)
      .join("L")}Z`;
  const grid = [1, 0.1, 0.01, 0.001, 0.0001, LEAST].map((rate) =>
    s(
      "g",
      {},
      s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(rate), y2: y(rate) }),
      s("text", { x: EDGE.left - 8, y: y(rate) + 4, "text-anchor": "end" }, percent(rate)),
    ),
  );
  const steps = Array.from({ length: 20 }, (_, i) => i / 20).filter((v) => v >= first && v <= last);
  const labels = steps.map((value) =>
    s("text", { x: x(value), y: HEIGHT - EDGE.bottom + 20, "text-anchor": "middle" }, number(value)),
  );
  const dots = (["far", "frr"] as const).flatMap((which) =>
    points.map((point) =>
      s("circle", { class: which, cx: x(point.threshold), cy: y(point[which].estimate), r: 3.5 }),
    ),
  );
  const cursor = s("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
  const title = freshId();
  const element = s(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": title },
    s("title", { id: title }, t("curveText")),
    ...grid,
    ...labels,
    s("text", { x: (width + EDGE.left) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, t("threshold")),
    s("path", { class: "band far", d: band("far") }),
    s("path", { class: "band frr", d: band("frr") }),
    s("path", { class: "line far", d: line("far") }),
    s("path", { class: "line frr", d: line("frr") }),
    ...dots,
    cursor,
  );
  return {
    element,
    move(threshold) {
      cursor.setAttribute("x1", String(x(threshold)));
      cursor.setAttribute("x2", String(x(threshold)));
    },
  };
}

function rateBox(kind: "far" | "frr"): { element: HTMLElement; show(rate: number): void } {
  const value = h("strong", {});
  const about = h("span", { class: "about" });
  return {
    element: h(
      "div",
      { class: `rate ${kind}` },
      h("h3", {}, h("i", { "aria-hidden": "true" }), t(kind)),
      value,
      about,
      h("p", { class: "hint" }, t(`${kind}Long`)),
    ),
    show(rate) {
      value.replaceChildren(percent(rate));
      about.replaceChildren(t("oneInAbout", { n: count(1 / Math.max(rate, LEAST), 2) }));
    },
  };
}

function curves(calibration: Calibration): HTMLElement {
  const points = measuredOf(calibration);
  const [low, high] = [points[0]!.threshold, points.at(-1)!.threshold];
  const usual = usualFar({ operatingPoints: calibration.points });
  const start = calibration.points.find(({ far }) => far === usual)?.threshold ?? calibration.threshold;
  const drawn = chart(points);
  const boxes = { far: rateBox("far"), frr: rateBox("frr") };
  const output = h("output", {});
  const slider = h("input", {
    type: "range",
    id: freshId(),
    min: low,
    max: high,
    step: 0.001,
    value: start,
  });
  output.htmlFor.add(slider.id);
  const move = (threshold: number) => {
    output.value = number(threshold, 3);
    slider.setAttribute(
      "aria-valuetext",
      `${number(threshold, 3)}: ${(["far", "frr"] as const).map((kind) => `${t(kind)} ${percent(between(points, kind, threshold))}`).join(", ")}`,
    );
    drawn.move(threshold);
    for (const kind of ["far", "frr"] as const) boxes[kind].show(between(points, kind, threshold));
  };
  slider.addEventListener("input", () => move(Number(slider.value)));
  // The slider's steps may miss it by a little.
  move(start);
  return h(
    "section",
    { class: "card curves" },
    h("h2", {}, t("curve")),
    h("div", { class: "slider" }, h("label", { for: slider.id }, t("threshold")), slider, output),
    h("div", { class: "rates" }, boxes.far.element, boxes.frr.element),
    drawn.element,
    h("p", { class: "hint" }, t("measuredBand")),
  );
}

const REPORT = "/v1/service/report";

/** The way to the model's report page: a link, or a file to keep where the server wants a key, which no link carries. */
function reportSection(): HTMLElement {
  const problem = h("p", { class: "problem", role: "alert" });
  const key = keyInUse();
  const way = h("a", { class: "button", href: REPORT, target: "_blank", rel: "noopener" }, t("openReport"));
  if (key !== undefined) {
    way.addEventListener("click", (event) => {
      event.preventDefault();
      problem.replaceChildren();
      keptReport(key).catch((error: unknown) => problem.replaceChildren(failureText(error)));
    });
  }
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t("report")),
    h("p", { class: "hint" }, t("reportLead")),
    h("div", { class: "actions" }, way),
    key !== undefined && problem,
  );
}

async function keptReport(key: string): Promise<void> {
  const response = await fetch(REPORT, { headers: { authorization: `Bearer ${key}` } });
  if (!response.ok) throw new Error(String(response.status));
  const address = URL.createObjectURL(await response.blob());
  h("a", { href: address, download: "report.html" }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function modelView({ facts }: Context): View {
  const { name, licence, trainedOn, note, calibration, report } = facts.model;
  // What the server says of a model is English, whatever the page's language.
  const rows: (readonly [string, string, isEnglish?: true])[] = [
    [t("factModel"), name],
    [t("factLicence"), licence, true],
    [t("factTrained"), trainedOn, true],
    [t("factNote"), note, true],
  ];
  if (calibration !== null) {
    const { people, positives, negatives } = calibration;
    const dataset = datasetName(calibration.dataset);
    rows.push(
      [t("factMeasured"), people.includes(dataset) ? people : `${dataset}: ${people}`, true],
      [t("factPairs"), t("pairsText", { positives: count(positives), negatives: count(negatives) })],
    );
  }
  return {
    element: h(
      "div",
      { class: "view" },
      h("header", { class: "lead" }, h("h1", {}, t("modelTitle")), h("p", {}, t("modelLead"))),
      calibration === null || calibration.points.length < 2
        ? h("section", { class: "card" }, h("p", { class: "wait" }, t("notCalibrated")))
        : curves(calibration),
      h(
        "section",
        { class: "card" },
        h("h2", {}, t("facts")),
        h(
          "dl",
          {},
          ...rows.flatMap(([term, text, isEnglish]) => [
            h("dt", {}, term),
            h("dd", { lang: isEnglish && "en" }, text),
          ]),
        ),
      ),
      ...(report ? [reportSection()] : []),
    ),
  };
}
