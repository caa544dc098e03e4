/** @file The texts of the page in the language that was chosen, and numbers as that language writes them. */
import { LANGUAGES, type Language, WORDS, type Word } from "./dictionaries.ts";

export { LANGUAGES } from "./dictionaries.ts";

const STORED = "faceid.language";
const isLanguage = (text: string | null | undefined): text is Language =>
  text !== null && text !== undefined && Object.hasOwn(LANGUAGES, text);

function firstLanguage(): Language {
  try {
    const stored = localStorage.getItem(STORED);
    if (isLanguage(stored)) return stored;
  } catch {
    // A browser may forbid storage.
  }
  return navigator.languages.map((each) => each.slice(0, 2)).find(isLanguage) ?? "en";
}

let language: Language = "en";

/** Takes the language that was chosen before, or the browser's. */
export function startLanguage(): void {
  useLanguage(firstLanguage());
}

export function useLanguage(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
}

/** Chooses a language for later visits too. */
export function chooseLanguage(chosen: string): void {
  if (!isLanguage(chosen)) return;
  useLanguage(chosen);
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // A browser may forbid storage.
  }
}

export const currentLanguage = (): Language => language;

/** French has spaces around some marks, at which no line may end. */
const FRENCH_SPACES = / (?=[?!:;»%])|(?<=«) /g;

/** A text in the language, with its places filled in. */
export function t(word: Word, values: Readonly<Record<string, string | number>> = {}): string {
  const text = WORDS[language][word];
  const spaced = language === "fr" ? text.replaceAll(FRENCH_SPACES, "\u00a0") : text;
  return spaced.replaceAll(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

export const isWord = (text: string): text is Word => Object.hasOwn(WORDS.en, text);

/** A number as the language writes it. */
export const number = (value: number, digits = 2): string =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(
    value,
  );

/** A count, or a number of few digits. */
export const count = (value: number, significant?: number): string =>
  new Intl.NumberFormat(
    language,
    significant === undefined ? {} : { maximumSignificantDigits: significant },
  ).format(value);

/** A share in percent, of two significant digits. */
export const percent = (value: number): string =>
  new Intl.NumberFormat(language, { style: "percent", maximumSignificantDigits: 2 }).format(value);

export const day = (iso: string): string =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(iso));

/** Datasets are known by their initials. */
export const datasetName = (name: string): string => (/^[a-z]{2,4}$/.test(name) ? name.toUpperCase() : name);
