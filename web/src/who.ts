/** @file The view that says who is on a photograph, or before the camera. */
import type { ServedIdentification } from "../../src/client/gallery-client.ts";
import type { Detection } from "../../src/faces/face.ts";
import { Camera } from "./camera.ts";
import { field, h, icon } from "./dom.ts";
import { onPaste, PhotoInput } from "./photo-input.ts";
import { clientOf, failureText, lookAt } from "./server.ts";
import { type Context, ONE_IN, type View } from "./view.ts";
import { count, number, t } from "./words.ts";

type Found = ServedIdentification["faces"][number];

/** Milliseconds between two searches of the camera. */
const PACE_MS = 700;

const nameOf = ({ match, candidates }: Found): string =>
  match ? candidates[0]!.person : t("nobodyEnrolled");

function faceEntry(face: Found): HTMLElement {
  const { threshold = Number.POSITIVE_INFINITY } = face;
  const bars = face.candidates.slice(0, 3).map(({ person, similarity }) => {
    const bar = h("span", { class: "bar" }, h("span", {}));
    (bar.firstElementChild as HTMLElement).style.width = `${Math.max(0, Math.min(1, similarity)) * 100}%`;
    return h(
      "li",
      { class: similarity >= threshold ? "over" : "" },
      h("span", { class: "who" }, person),
      bar,
      h("span", { class: "number" }, number(similarity)),
    );
  });
  return h(
    "li",
    { class: `found${face.match ? "" : " quiet"}` },
    h("h3", {}, nameOf(face)),
    bars.length > 0 && h("p", { class: "hint" }, t("nearest")),
    bars.length > 0 && h("ol", { class: "candidates" }, ...bars),
  );
}

export function whoView({ facts, gallery }: Context): View {
  const client = clientOf(gallery);
  const result = h("section", { class: "card result who", "aria-live": "polite" });
  const wait = (text: string) => result.replaceChildren(h("p", { class: "wait" }, text));
  const fpir = h(
    "select",
    {},
    ...ONE_IN.map((n) => h("option", { value: n, selected: n === 100 }, t("oneIn", { n: count(n) }))),
  );
  let camera: Camera | undefined;
  let asked = 0;

  function show({ faces, people }: ServedIdentification): void {
    input.stage.mark(
      faces.map((face) => ({
        face: face as unknown as Detection,
        label: face.threshold === undefined ? undefined : nameOf(face),
        quiet: !face.match,
      })),
    );
    const [first] = faces;
    if (first === undefined) {
      result.replaceChildren(h("h2", {}, t("noFaceFound")), h("p", {}, t("noFaceLead")));
      return;
    }
    const { threshold } = first;
    if (threshold === undefined) {
      result.replaceChildren(h("h2", {}, t("nobody")), h("p", {}, t("whoNobody")));
      return;
    }
    const named = faces.filter(({ match }) => match).length;
    const summary = t(faces.length === 1 ? "oneFaceFound" : "facesFound", {
      count: count(faces.length),
      named,
    });
    result.replaceChildren(
      h("h2", {}, summary),
      h("ul", { class: "faces" }, ...faces.map(faceEntry)),
      h("p", { class: "hint" }, t("comparedWith", { count: count(people), threshold: number(threshold) })),
      first.extrapolated ? h("p", { class: "hint" }, t("extrapolated")) : "",
    );
  }

  async function identify(file: Blob, mine: number): Promise<void> {
    try {
      const answer = await client.identify(file, { fpir: 1 / Number(fpir.value), candidates: 5 });
      if (mine === asked) show(answer);
    } catch (error) {
      if (mine !== asked) return;
      input.problem(failureText(error));
      wait(t("whoWait"));
    }
  }

  const run = () => {
    const { photo } = input;
    if (camera !== undefined || photo === undefined) return;
    input.stage.mark([]);
    wait(t("working"));
    void identify(photo.file, ++asked);
  };

  function stop(): void {
    camera?.[Symbol.dispose]();
    camera = undefined;
    live.replaceChildren(icon("camera"), t("live"));
    live.setAttribute("aria-pressed", "false");
  }

  async function start(): Promise<void> {
    try {
      const opened = await Camera.open();
      camera = opened;
      input.photo = undefined;
      input.problem("");
      input.stage.play(opened.video);
      live.replaceChildren(icon("close"), t("stop"));
      live.setAttribute("aria-pressed", "true");
      const mine = ++asked;
      while (camera === opened && mine === asked) {
        await identify(await opened.frame(), mine);
        await new Promise((done) => setTimeout(done, PACE_MS));
      }
    } catch {
      stop();
      input.problem(t("cameraDenied"));
    }
  }

  const input = new PhotoInput(
    t("photograph"),
    (picture) => lookAt(facts, picture),
    () => {
      stop();
      run();
    },
  );
  const live = h("button", { type: "button", "aria-pressed": "false" }, icon("camera"), t("live"));
  live.addEventListener("click", () => {
    if (camera === undefined) void start();
    else {
      asked++;
      stop();
    }
  });
  input.element.querySelector(".actions")!.append(live);
  fpir.addEventListener("change", run);
  wait(t("whoWait"));
  const stopPasting = onPaste((file) => void input.take(file));
  return {
    element: h(
      "div",
      { class: "view" },
      h("header", { class: "lead" }, h("h1", {}, t("whoTitle")), h("p", {}, t("whoLead"))),
      gallery === undefined
        ? h("section", { class: "card" }, h("p", { class: "wait" }, t("noGallery")))
        : h(
            "div",
            { class: "who-pair" },
            h("div", {}, input.element, h("div", { class: "options" }, field(t("fpir"), fpir))),
            result,
          ),
    ),
    dispose() {
      stop();
      asked++;
      stopPasting();
    },
  };
}
