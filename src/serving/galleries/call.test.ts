/** @file Bodies of requests to galleries that would be kept as something else. */
import { describe, expect, it } from "vitest";
import { parsedJson } from "./call.ts";

const parse = (text: string) => parsedJson(Buffer.from(text), "application/json");
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

describe("a JSON body", () => {
  it("keeps what can be written again", () => {
    expect(parse(nested(100))).toEqual(JSON.parse(nested(100)));
    expect(parse('{"notes": {"a": [1e308, null, "\\u00e9"]}}')).toEqual({ notes: { a: [1e308, null, "é"] } });
  });

  it.each([
    ["more than 100 levels", nested(101), "nests more than 100 levels"],
    ["very many levels", nested(100_000), "nests more than 100 levels"],
    ["a number that JSON cannot write", '{"notes": {"a": [-1e400]}}', "beyond 64-bit floats"],
    ["a field that objects lose", '{"notes": {"__proto__": {}}}', '"__proto__"'],
  ])("is refused with %s", (_, text, reason) => {
    expect(() => parse(text)).toThrow(reason);
  });

  it("is refused where a key comes twice", () => {
    expect(() => parse('{"name": "Ann", "name": "Bob"}')).toThrow('the body has the key "name" twice');
    expect(() => parse('{"notes": {"a": [{"b": 1, "b": 1}]}}')).toThrow('the body has the key "b" twice');
  });
});
