/** @file Lines of comma-separated values as RFC 4180 writes them. */

const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** One line without its end; nothing for a field that is not known. */
export const csvLine = (fields: readonly (string | number | null | undefined)[]): string =>
  fields.map((field) => quoted(String(field ?? ""))).join(",");
