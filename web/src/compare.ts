/** @file The view that compares two photographs. */
import { qualityWarnings } from "../../src/faces/quality-limits.ts";
import { field, h, tick } from "./dom.ts";
import { onPaste, PhotoInput } from "./photo-input.ts";
import { isPrivatePossible, PrivateComparer } from "./private/comparer.ts";
import { type Comparison, compare, keyInUse, lookAt, pairFailures } from "./server.ts";
import { crop } from "./stage.ts";
import { type Context, ONE_IN, type View } from "./view.ts";
import { count, datasetName, number, percent, t } from "./words.ts";

/** The ends of the scale; similarities beyond are drawn at its ends. */
const [LOW, HIGH] = [-0.2, 1];
const place = (value: number) => `${(100 * (Math.min(Math.max(value, LOW), HIGH) - LOW)) / (HIGH - LOW)}%`;

/** The similarity and the threshold on a line. */
function scale(similarity: number, threshold: number | undefined, isSame: boolean): HTMLElement {
  const text = t("scaleText", {
    similarity: number(similarity),
    low: number(LOW, 1),
    high: number(HIGH, 1),
    threshold: threshold === undefined ? "–" : number(threshold),
  });
  const marker = h("span", { class: `marker${isSame ? " same" : ""}` });
  marker.style.left = place(similarity);
  const line = h("div", { class: "scale", role: "img", "aria-label": text });
  if (threshold !== undefined) {
    const reached = h("span", { class: "reached" });
    reached.style.left = place(threshold);
    const tick = h(
      "span",
      { class: "tick" },
      h("span", {}, t("thresholdIs", { threshold: number(threshold) })),
    );
    tick.style.left = place(threshold);
    line.append(reached, tick);
  }
  line.append(marker);
  return line;
}

/** Whether photographs stay in the browser; chosen for later visits too. */
const STORED = "faceid.private";
function wasPrivate(): boolean {
  try {
    return localStorage.getItem(STORED) === "yes";
  } catch {
    return false;
  }
}
function choosePrivate(isPrivate: boolean): void {
  try {
    localStorage.setItem(STORED, isPrivate ? "yes" : "no");
  } catch {
    // A browser may forbid storage.
  }
}

/** What the rate means, in pairs of people. */
function meaning({ estimate, low, high }: NonNullable<Comparison["falseAcceptRate"]>): string {
  const of = 10 ** Math.max(3, Math.ceil(-Math.log10(estimate)));
  const pairs = (rate: number) => count(rate * of, 2);
  return t("farMeaning", { count: pairs(estimate), of: count(of), low: pairs(low), high: pairs(high) });
}

export function compareView({ facts }: Context): View {
  const { calibration } = facts.model;
  const result = h("section", { class: "card result", "aria-live": "polite" });
  const wait = (text: string) => result.replaceChildren(h("p", { class: "wait" }, text));
  let asked = 0;

  const rates = ONE_IN.filter((n) => calibration?.points.some(({ far }) => far <= 1 / n) ?? false);
  const strictness = h(
    "select",
    {},
    ...rates.map((n) => h("option", { value: n, selected: n === 1000 }, t("oneIn", { n: count(n) }))),
  );
  strictness.addEventListener("change", () => void run());

  const isPossible = isPrivatePossible(facts);
  const box = h("input", { type: "checkbox", checked: isPossible && wasPrivate(), disabled: !isPossible });
  const lead = h("p", {});
  const hint = h("p", { class: "hint" });
  let comparer: PrivateComparer | undefined;
  const explain = () => {
    lead.replaceChildren(t(box.checked ? "compareLeadPrivate" : "compareLead"));
    hint.replaceChildren(
      t(facts.model.files === null ? "privateNoFiles" : isPossible ? "privateHint" : "privateNoRuntime"),
    );
  };
  explain();
  box.addEventListener("change", () => {
    choosePrivate(box.checked);
    explain();
    if (!box.checked) endPrivate();
    void run();
  });
  function endPrivate(): void {
    comparer?.[Symbol.dispose]();
    comparer = undefined;
  }

  function privately(): PrivateComparer {
    if (comparer !== undefined) return comparer;
    comparer = new PrivateComparer(facts, keyInUse());
    comparer.onLoading = (part) => {
      if (inputs.some(({ photo }) => photo === undefined)) return;
      wait(part < 1 ? t("privateLoading", { part: percent(part) }) : t("working"));
    };
    return comparer;
  }

  async function answerOf(photos: readonly [Blob, Blob], far: number | undefined): Promise<Comparison> {
    if (!box.checked) return await compare(facts, photos, far);
    return await privately().compare(photos, far);
  }

  async function run(): Promise<void> {
    const [first, second] = inputs.map(({ photo }) => photo);
    for (const input of inputs) input.stage.mark([]);
    if (first === undefined || second === undefined) {
      wait(t("waitTwo"));
      return;
    }
    const mine = ++asked;
    wait(t("working"));
    try {
      const far = strictness.value === "" ? undefined : 1 / Number(strictness.value);
      const answer = await answerOf([first.file, second.file], far);
      if (mine === asked) show(answer, box.checked);
    } catch (error) {
      if (mine !== asked) return;
      pairFailures(error).forEach((text, i) => {
        if (text !== undefined) inputs[i]!.problem(text);
      });
      wait(t("waitTwo"));
    }
  }

  /** Where it was computed, and by what. */
  function privateLine(): HTMLElement {
    const { engine = "none", distance } = comparer ?? {};
    const by = engine === "none" ? "" : ` ${t(`private.${engine}`)}`;
    const line = h("p", { class: "hint private" }, `${t("privateDone")}${by}`);
    line.dataset.engine = engine;
    if (distance !== undefined) line.dataset.distance = String(distance);
    return line;
  }

  function show(answer: Comparison, isPrivate: boolean): void {
    for (const input of inputs) input.problem("");
    const { same = false, similarity, threshold, falseAcceptRate, faces } = answer;
    const found = faces === undefined ? [] : [faces.anchor, faces.verification];
    const crops = h("div", { class: "crops" });
    const warnings: string[] = [];
    found.forEach((face, i) => {
      const { photo, stage } = inputs[i]!;
      const title = t(i === 0 ? "first" : "second");
      stage.mark([{ face }]);
      if (photo?.picture !== undefined) crops.append(crop(photo.picture, face, title));
      for (const { limit } of qualityWarnings(face.quality)) warnings.push(`${title}: ${t(`warn.${limit}`)}`);
      const { found: number_ = 1 } = face;
      if (number_ > 1) warnings.push(`${title}: ${t("severalFound", { count: count(number_) })}`);
    });
    const verdict = t(same ? "same" : "different");
    result.dataset.similarity = String(similarity);
    result.replaceChildren(
      h(
        "div",
        { class: "verdict" },
        h(
          "div",
          { class: "words" },
          h("h2", { class: same ? "same" : "" }, verdict),
          h("p", { class: "similarity" }, t("similarity", { similarity: number(similarity) })),
        ),
        h("figure", {}, crops, h("figcaption", {}, t("crops"))),
      ),
      scale(similarity, threshold, same),
      ...(falseAcceptRate === undefined ? [] : [h("p", { class: "meaning" }, meaning(falseAcceptRate))]),
      ...(calibration === null
        ? []
        : [h("p", { class: "hint" }, t("farLine", { dataset: datasetName(calibration.dataset) }))]),
      ...(isPrivate ? [privateLine()] : []),
      ...(warnings.length === 0
        ? []
        : [
            h(
              "div",
              { class: "warnings" },
              h("h3", {}, t("quality")),
              h("ul", {}, ...warnings.map((text) => h("li", {}, text))),
            ),
          ]),
    );
  }

  // Not even pictures of the camera leave a private page.
  const look = (picture: Blob) => (box.checked ? privately().look(picture) : lookAt(facts, picture));
  const inputs = [
    new PhotoInput(t("first"), look, () => void run()),
    new PhotoInput(t("second"), look, () => void run()),
  ];
  const dispose = onPaste(
    (file) => void (inputs.find(({ photo }) => photo === undefined) ?? inputs[1]!).take(file),
  );
  wait(t("waitTwo"));
  return {
    element: h(
      "div",
      { class: "view" },
      h("header", { class: "lead" }, h("h1", {}, t("compareTitle")), lead),
      h("div", { class: "pair" }, ...inputs.map(({ element }) => element)),
      h(
        "div",
        { class: "options" },
        rates.length > 0 && field(t("strictness"), strictness),
        h("div", { class: "choice" }, tick(t("private"), box), hint),
      ),
      result,
    ),
    dispose() {
      asked++;
      endPrivate();
      dispose();
    },
  };
}
