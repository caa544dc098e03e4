/** @file Dialogs that ask something: a question with yes and no, or a form. */
import { h, icon } from "./dom.ts";
import { t } from "./words.ts";

/** A dialog with a title and a button that closes it. */
export function modal(title: string, ...content: readonly (Node | string | false)[]): HTMLDialogElement {
  const close = h("button", { type: "button", class: "plain", "aria-label": t("close") }, icon("close"));
  const dialog = h(
    "dialog",
    { "aria-label": title },
    h("div", { class: "heading" }, h("h2", {}, title), close),
    ...content,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that cannot be undone. */
export async function confirmed(question: string, yes: string): Promise<boolean> {
  const no = h("button", { type: "button", autofocus: true }, t("cancel"));
  const go = h("button", { type: "button", class: "danger" }, yes);
  const dialog = h(
    "dialog",
    { class: "question", role: "alertdialog", "aria-label": question },
    h("p", {}, question),
    h("div", { class: "actions" }, no, go),
  );
  document.body.append(dialog);
  dialog.showModal();
  try {
    return await new Promise((resolve) => {
      no.addEventListener("click", () => resolve(false));
      go.addEventListener("click", () => resolve(true));
      dialog.addEventListener("close", () => resolve(false));
    });
  } finally {
    dialog.remove();
  }
}
