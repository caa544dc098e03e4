/** @file Reading comma-separated values: quotes, line ends, and files that are none. */
import { expect, it } from "vitest";
import { parseCsv } from "./csv.ts";

it.each([
  [
    '\uFEFFa,b\r\n1,"x, ""y"""\r\n\r\n2,\r\n',
    [
      { a: "1", b: 'x, "y"' },
      { a: "2", b: "" },
    ],
  ],
  ["a,b\n1,2", [{ a: "1", b: "2" }]],
  ['a,b\n"line\nbreak",2\n', [{ a: "line\nbreak", b: "2" }]],
  ["a\n", []],
  ["a,b\n1,", [{ a: "1", b: "" }]],
])("reads %j", (text, rows) => {
  expect(parseCsv(text, "it").rows).toEqual(rows);
});

it.each(["", 'a\n"x', "a,b\n1", 'a\nx"y', 'a\n"x"y'])("refuses %j", (text) => {
  expect(() => parseCsv(text, "it")).toThrow(expect.objectContaining({ code: "FILE_INVALID" }));
});
