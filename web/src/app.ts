/** @file The page: its header, its views by the address's fragment, its language and its key. */
import type { ServiceFacts } from "../../src/client/gallery-client.ts";
import { compareView } from "./compare.ts";
import { modal } from "./dialogs.ts";
import { field, h, icon } from "./dom.ts";
import { modelView } from "./model.ts";
import { peopleView } from "./people.ts";
import { clientOf, failureText, isRefusedKey, useKey } from "./server.ts";
import type { Context, View } from "./view.ts";
import { whoView } from "./who.ts";
import { chooseLanguage, currentLanguage, LANGUAGES, startLanguage, t } from "./words.ts";

const VIEWS = { compare: compareView, people: peopleView, who: whoView, model: modelView } as const;
type Name = keyof typeof VIEWS;

const root = document.querySelector("#app")!;
const said = h("div", { class: "said", role: "status" });
const SAID_MS = 4000;
let silence: ReturnType<typeof setTimeout> | undefined;
let shown: View | undefined;

function say(text: string): void {
  clearTimeout(silence);
  said.replaceChildren(text);
  said.classList.add("shown");
  silence = setTimeout(() => said.classList.remove("shown"), SAID_MS);
}

function nameOf(hash: string): Name {
  const name = hash.slice(1);
  return Object.hasOwn(VIEWS, name) ? (name as Name) : "compare";
}

/** Asks for a key until the server takes one. */
async function factsByKey(): Promise<ServiceFacts> {
  try {
    return await clientOf().service();
  } catch (error) {
    if (!isRefusedKey(error)) throw error;
  }
  const key = h("input", { type: "password", autocomplete: "off", required: true });
  const problem = h("p", { class: "problem", role: "alert" });
  const form = h(
    "form",
    {},
    h("p", {}, t("keyLead")),
    field(t("key"), key),
    problem,
    h("div", { class: "actions end" }, h("button", { type: "submit", class: "primary" }, t("save"))),
  );
  const dialog = modal(t("keyTitle"), form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.querySelector(".heading button")!.remove();
  return await new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      useKey(key.value.trim());
      try {
        const facts = await clientOf().service();
        dialog.close();
        resolve(facts);
      } catch (error) {
        problem.replaceChildren(isRefusedKey(error) ? t("keyWrong") : failureText(error));
      }
    });
  });
}

function page(context: Context): void {
  const main = h("main", { id: "main", tabindex: -1 });
  const links = (Object.keys(VIEWS) as Name[]).map((name) =>
    h("a", { href: `#${name}` }, icon(name), h("span", {}, t(name))),
  );
  const language = h(
    "select",
    { "aria-label": t("language") },
    ...Object.entries(LANGUAGES).map(([code, name]) =>
      h("option", { value: code, selected: code === currentLanguage(), lang: code }, name),
    ),
  );
  language.addEventListener("change", () => {
    chooseLanguage(language.value);
    page(context);
  });
  const skip = h("a", { class: "skip", href: "#main" }, t("skip"));
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  const show = () => {
    const name = nameOf(location.hash);
    shown?.dispose?.();
    shown = VIEWS[name](context);
    main.replaceChildren(shown.element);
    document.title = `${t(name)} – faceid`;
    for (const link of links) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  window.onhashchange = show;
  root.replaceChildren(
    skip,
    h(
      "header",
      { class: "top" },
      h(
        "a",
        { class: "brand", href: "#compare" },
        h("img", { src: "/icon.svg", alt: "", width: 28, height: 28 }),
        "faceid",
      ),
      h("nav", { "aria-label": t("views") }, ...links),
      language,
    ),
    main,
    said,
  );
  show();
}

// A photograph that misses its place must not replace the page.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());

startLanguage();
try {
  const facts = await factsByKey();
  page({ facts, gallery: facts.galleries[0], say });
} catch (error) {
  root.replaceChildren(h("main", {}, h("p", { class: "problem", role: "alert" }, failureText(error))));
}
