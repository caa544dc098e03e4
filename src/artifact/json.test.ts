/** @file JSON without keys that come twice. */
import { describe, expect, it } from "vitest";
import { parseJson } from "./json.ts";

describe("a JSON text", () => {
  it.each([
    ['{"a": 1, "a": 1}', "a"],
    ['{"a": {"b": [1, {"c": 2, "d": "e", "c": 3}]}}', "c"],
    ['[{"a": 1}, {"b": "a", "b": {}}]', "b"],
    [String.raw`{"a": "\\", "\u0061": "\""}`, "a"],
    [String.raw`{"x\"": "{", "y": "\"x", "x\"": 0}`, 'x"'],
    ['{"": [], "":[]}', ""],
    ['{"__proto__": 1, "__proto__": 2}', "__proto__"],
  ])("is refused for a key that comes twice: %s", (text, key) => {
    expect(() => parseJson(text)).toThrow(`it has the key ${JSON.stringify(key)} twice`);
  });

  it.each([
    "1",
    '"a"',
    "[]",
    '["a", "a", {"a": "a"}, {"a": ["a", "a"]}]',
    '{"a": {"a": {"a": "a"}}, "b": {"a": 1}, "A": 2}',
    String.raw`{"a": "\",\"a\":", "b\\": "a\\", "b": "{\"b\": 1"}`,
    ' { "a" : -1.5e3 , "b" : null , "c" : true } ',
  ])("is read where each key comes once: %s", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it("is refused as by JSON.parse where it is none", () => {
    for (const text of ["", "{", '{"a"}', "{'a': 1}", '{"a": 1,}']) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    }
  });
});
