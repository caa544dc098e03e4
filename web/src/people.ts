/** @file The view of the gallery's people: enrol, see, rename, merge and delete. */
import type { GalleryClient, ServedFace, ServedPerson } from "../../src/client/gallery-client.ts";
import { takePhoto } from "./camera.ts";
import type { LookAt } from "./challenge/view.ts";
import { confirmed, modal } from "./dialogs.ts";
import { field, freshId, h, icon, tick } from "./dom.ts";
import { fileButton } from "./photo-input.ts";
import { clientOf, failureText, lookAt } from "./server.ts";
import type { Context, View } from "./view.ts";
import { count, day, t } from "./words.ts";

const PAGE = 60;
/** Names that are offered at once. */
const OFFERED = 20;
/** Longest time between a letter and the search for it. */
const PAUSE_MS = 200;

const facesText = (faces: number): string =>
  faces === 0 ? t("noFace") : faces === 1 ? t("oneFace") : t("facesCount", { count: count(faces) });

const initials = (name: string): string =>
  name
    .split(/[\s_]+/)
    .slice(0, 2)
    .map((word) => Array.from(word)[0] ?? "")
    .join("")
    .toUpperCase();

const avatar = (name: string) => h("span", { class: "avatar", "aria-hidden": "true" }, initials(name));

interface Waiting {
  readonly file: Blob;
  readonly entry: HTMLElement;
}

/** Chosen photographs that wait to be enrolled, and what came of each. */
class PhotoList {
  readonly element: HTMLElement;
  readonly #list = h("ul", { class: "photos" });
  readonly #waiting: Waiting[] = [];
  readonly keep = h("input", { type: "checkbox" });

  constructor(look: LookAt) {
    const camera = h("button", { type: "button" }, icon("camera"), t("useCamera"));
    camera.addEventListener("click", async () => {
      const shot = await takePhoto(look);
      if (shot !== undefined) this.#add([new File([shot], "camera.jpg", { type: "image/jpeg" })]);
    });
    this.element = h(
      "div",
      { class: "field" },
      h("p", { class: "label" }, t("photographs")),
      this.#list,
      h(
        "div",
        { class: "actions" },
        fileButton(t("chooseFile"), (files) => this.#add(files), true),
        camera,
      ),
      tick(t("keep"), this.keep),
    );
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  #add(files: readonly File[]): void {
    for (const file of files) {
      const picture = h("img", { alt: "", src: URL.createObjectURL(file) });
      picture.addEventListener("error", () => picture.classList.add("broken"));
      const entry = h(
        "li",
        {},
        picture,
        h("span", {}, file.name),
        h("span", { class: "state", role: "status" }),
      );
      this.#waiting.push({ file, entry });
      this.#list.append(entry);
    }
  }

  /** Enrols what waits, one after another. @returns whether all went in. */
  async enrol(client: GalleryClient, person: ServedPerson): Promise<boolean> {
    const left: Waiting[] = [];
    for (const each of this.#waiting.splice(0)) {
      const state = each.entry.querySelector(".state")!;
      state.replaceChildren(t("working"));
      try {
        const source = each.file instanceof File ? { source: each.file.name.slice(0, 255) } : {};
        const fields = { ...source, keepPhoto: this.keep.checked };
        const { isNew, resembles } = await client.addFace(person.id, each.file, fields);
        const what = isNew ? t("enrolled") : t("known");
        state.replaceChildren(
          resembles === null ? what : `${what}. ${t("resembles", { name: resembles.person })}`,
        );
      } catch (error) {
        state.replaceChildren(failureText(error));
        each.entry.classList.add("failed");
        left.push(each);
      }
    }
    // They can be tried again.
    this.#waiting.push(...left);
    return left.length === 0;
  }
}

class PeopleView implements View {
  readonly element: HTMLElement;
  readonly #client: GalleryClient;
  readonly #context: Context;
  readonly #list = h("ul", { class: "people" });
  readonly #problem = h("p", { class: "problem", role: "alert" });
  readonly #search = h("input", { type: "search", autocomplete: "off" });
  readonly #more = h("button", { type: "button", hidden: true }, t("more"));
  #cursor: string | null = null;
  #asked = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#client = clientOf(context.gallery);
    const add = h("button", { type: "button", class: "primary" }, icon("add"), t("addPerson"));
    add.addEventListener("click", () => this.#openNew());
    this.#more.addEventListener("click", () => void this.#load(true));
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => void this.#load(), PAUSE_MS);
    });
    this.element = h(
      "div",
      { class: "view" },
      h("header", { class: "lead" }, h("h1", {}, t("peopleTitle")), h("p", {}, t("peopleLead"))),
      h("div", { class: "toolbar" }, field(t("search"), this.#search), add),
      this.#problem,
      this.#list,
      this.#more,
    );
    void this.#load();
  }

  async #load(isMore = false): Promise<void> {
    const mine = ++this.#asked;
    const search = this.#search.value.trim();
    try {
      const page = await this.#client.people({
        limit: PAGE,
        ...(search === "" ? {} : { search }),
        ...(isMore && this.#cursor !== null ? { cursor: this.#cursor } : {}),
      });
      if (mine !== this.#asked) return;
      this.#problem.replaceChildren();
      const entries = page.people.map((person) => this.#entry(person));
      if (isMore) this.#list.append(...entries);
      else this.#list.replaceChildren(...entries);
      this.#cursor = page.next;
      this.#more.hidden = page.next === null;
      if (this.#list.childElementCount === 0) this.#list.append(this.#none(search));
    } catch (error) {
      this.#problem.replaceChildren(failureText(error));
    }
  }

  #none(search: string): HTMLElement {
    if (search !== "") return h("li", { class: "none" }, h("p", {}, t("noMatchFor", { text: search })));
    return h("li", { class: "none" }, icon("people"), h("h2", {}, t("nobody")), h("p", {}, t("nobodyLead")));
  }

  #entry(person: ServedPerson): HTMLElement {
    const button = h(
      "button",
      { type: "button", class: "person" },
      avatar(person.name),
      h("span", { class: "name" }, person.name),
      h("span", { class: "hint" }, facesText(person.faces)),
    );
    button.addEventListener("click", () => void this.#openPerson(person.id));
    return h("li", {}, button);
  }

  #openNew(): void {
    const name = h("input", { type: "text", required: true, maxlength: 200, autocomplete: "off" });
    const consent = h("input", { type: "text", maxlength: 1000, autocomplete: "off" });
    const photos = new PhotoList((picture) => lookAt(this.#context.facts, picture));
    const problem = h("p", { class: "problem", role: "alert" });
    const save = h("button", { type: "submit", class: "primary" }, t("enrol"));
    let made: ServedPerson | undefined;
    const form = h(
      "form",
      { method: "dialog" },
      field(t("name"), name),
      field(t("consent"), consent, t("consentHint")),
      photos.element,
      problem,
      h("div", { class: "actions end" }, save),
    );
    const dialog = modal(t("addPerson"), form);
    name.focus();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      save.disabled = true;
      problem.replaceChildren();
      try {
        const how = consent.value.trim();
        made ??= await this.#client.addPerson({
          name: name.value,
          ...(how === "" ? {} : { consent: { given: new Date().toISOString(), how } }),
        });
        name.disabled = true;
        const isDone = await photos.enrol(this.#client, made);
        void this.#load();
        if (isDone) {
          dialog.close();
          this.#context.say(`${made.name}: ${t("enrolled")}`);
        }
      } catch (error) {
        problem.replaceChildren(failureText(error));
      } finally {
        save.disabled = false;
      }
    });
  }

  async #openPerson(id: string): Promise<void> {
    try {
      const [{ person, tag }, faces] = await Promise.all([this.#client.person(id), this.#client.faces(id)]);
      this.#showPerson(person, tag, faces);
    } catch (error) {
      this.#problem.replaceChildren(failureText(error));
      void this.#load();
    }
  }

  #showPerson(person: ServedPerson, tag: string, faces: readonly ServedFace[]): void {
    const problem = h("p", { class: "problem", role: "alert" });
    const name = h("input", {
      type: "text",
      value: person.name,
      required: true,
      maxlength: 200,
      autocomplete: "off",
    });
    const rename = h(
      "form",
      { class: "row" },
      field(t("name"), name),
      h("button", { type: "submit" }, t("rename")),
    );
    const photos = new PhotoList((picture) => lookAt(this.#context.facts, picture));
    const enrol = h("button", { type: "button", class: "primary" }, t("enrol"));
    const into = this.#otherPerson(person);
    const merge = h("button", { type: "button" }, t("merge"));
    const remove = h("button", { type: "button", class: "danger" }, t("removePerson"));
    const dialog = modal(
      person.name,
      h(
        "p",
        { class: "hint" },
        [facesText(person.faces), t("enrolledOn", { date: day(person.createdAt) }), person.consent?.how ?? ""]
          .filter((text) => text !== "")
          .join(" · "),
      ),
      h("ul", { class: "thumbs" }, ...faces.map((face) => this.#thumb(person, face, () => again()))),
      photos.element,
      h("div", { class: "actions" }, enrol),
      rename,
      h(
        "div",
        { class: "row" },
        field(t("mergeInto"), into.input, t("mergeHint", { name: person.name })),
        into.names,
        merge,
      ),
      problem,
      h("div", { class: "actions end" }, remove),
    );
    const again = () => {
      dialog.close();
      void this.#load();
      void this.#openPerson(person.id);
    };
    const attempt = async (work: () => Promise<void>) => {
      problem.replaceChildren();
      try {
        await work();
      } catch (error) {
        problem.replaceChildren(failureText(error));
      }
    };
    enrol.addEventListener("click", () =>
      attempt(async () => {
        if (!photos.isEmpty && (await photos.enrol(this.#client, person))) again();
      }),
    );
    rename.addEventListener("submit", (event) => {
      event.preventDefault();
      void attempt(async () => {
        const { notes, consent, expiresAt } = person;
        await this.#client.replacePerson(
          person.id,
          { name: name.value, notes, consent, expiresAt },
          { ifMatch: tag },
        );
        this.#context.say(t("saved"));
        again();
      });
    });
    merge.addEventListener("click", () =>
      attempt(async () => {
        const other = into.input.value.trim();
        if (other === "") return into.input.focus();
        await this.#client.mergePerson(person.id, other);
        dialog.close();
        this.#context.say(t("saved"));
        await this.#load();
      }),
    );
    remove.addEventListener("click", () =>
      attempt(async () => {
        if (!(await confirmed(t("removeQuestion", { name: person.name }), t("yesDelete")))) return;
        await this.#client.removePerson(person.id);
        dialog.close();
        this.#context.say(t("removed", { name: person.name }));
        await this.#load();
      }),
    );
  }

  /** A field for the name of another person, which offers those that contain what is written. */
  #otherPerson(person: ServedPerson): { input: HTMLInputElement; names: HTMLDataListElement } {
    const names = h("datalist", { id: freshId() });
    const input = h("input", {
      type: "text",
      list: names.id,
      maxlength: 200,
      autocomplete: "off",
      placeholder: t("choosePerson"),
    });
    let asked = 0;
    const offer = async () => {
      const mine = ++asked;
      const search = input.value.trim();
      const { people } = await this.#client.people({ limit: OFFERED, ...(search === "" ? {} : { search }) });
      if (mine !== asked) return;
      names.replaceChildren(
        ...people.filter(({ id }) => id !== person.id).map(({ name }) => h("option", { value: name })),
      );
    };
    // Without offers the name can be written all the same.
    input.addEventListener("focus", () => void offer().catch(() => undefined));
    input.addEventListener("input", () => void offer().catch(() => undefined));
    return { input, names };
  }

  #thumb(person: ServedPerson, face: ServedFace, again: () => void): HTMLElement {
    const picture = h("span", { class: "thumb" }, initials(person.name));
    if (face.hasPhoto) {
      void this.#client.photo(person.id, face.id).then((blob) => {
        const image = h("img", { alt: t("faceOf", { name: person.name }) });
        image.addEventListener("load", () => URL.revokeObjectURL(image.src));
        image.src = URL.createObjectURL(blob);
        picture.replaceChildren(image);
      });
    }
    const remove = h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": `${t("remove")}: ${face.source ?? day(face.createdAt)}`,
      },
      icon("close"),
    );
    remove.addEventListener("click", async () => {
      if (!(await confirmed(t("removeFaceQuestion"), t("yesDelete")))) return;
      await this.#client.removeFace(person.id, face.id);
      again();
    });
    return h("li", {}, picture, h("span", { class: "hint" }, face.source ?? day(face.createdAt)), remove);
  }
}

export function peopleView(context: Context): View {
  if (context.gallery !== undefined) return new PeopleView(context);
  return {
    element: h(
      "div",
      { class: "view" },
      h("header", { class: "lead" }, h("h1", {}, t("peopleTitle")), h("p", {}, t("peopleLead"))),
      h("section", { class: "card" }, h("p", { class: "wait" }, t("noGallery"))),
    ),
  };
}
