/** @file Photographs in JSON bodies, in every spelling of base64 that clients send. */
import { describe, expect, it } from "vitest";
import { readPhotosJson } from "./photos.ts";

const BYTES = Uint8Array.from([0xff, 0xd8, 0xff, 0xfb, 0xef, 0xbe, 0x01]);
const STANDARD = Buffer.from(BYTES).toString("base64");
const FOR_URLS = Buffer.from(BYTES).toString("base64url");
const read = (image: unknown) => readPhotosJson(Buffer.from(JSON.stringify({ image })), ["image"]).files[0]!;

describe("a photograph in JSON", () => {
  it.each([
    ["standard base64", { b64: STANDARD }],
    ["base64 for URLs", { b64: FOR_URLS }],
    ["padded base64 for URLs", { b64: `${FOR_URLS}==` }],
    ["base64 in lines", { b64: `${STANDARD.slice(0, 4)}\r\n${STANDARD.slice(4)}\n` }],
    ["a data URL", `data:image/jpeg;base64,${STANDARD}`],
    ["a data URL in capitals", `DATA:image/jpeg;BASE64,${STANDARD}`],
    ["a data URL with a parameter", `data:image/jpeg;name=a.jpg;base64,${FOR_URLS}`],
    ["a data URL in codes", `data:image/jpeg;base64,${encodeURIComponent(STANDARD)}`],
    ["a data URL as b64", { b64: `data:image/jpeg;base64,${STANDARD}` }],
    ["a data URL as url", { url: `data:image/jpeg;base64,${STANDARD}` }],
  ])("is read from %s", (_, image) => {
    expect([...(read(image) as Uint8Array)]).toEqual([...BYTES]);
  });

  it("is refused where a key comes twice, since readers of JSON differ in which they take", () => {
    const twice = (text: string) => () => readPhotosJson(Buffer.from(text), ["image"]);
    const file = `{"b64": "${STANDARD}"}`;
    expect(twice(`{"image": ${file}, "far": 0.1, "far": 0.001}`)).toThrow('the body has the key "far" twice');
    expect(twice(`{"image": ${file}, "image": ${file}}`)).toThrow('the body has the key "image" twice');
    expect(twice(`{"image": {"b64": "", "b64": "${STANDARD}"}}`)).toThrow('the body has the key "b64" twice');
  });

  it("may lie elsewhere", () => {
    expect(read({ url: "https://example.org/a.jpg" })).toEqual({ url: "https://example.org/a.jpg" });
  });

  it.each([
    ["nothing", undefined],
    ["a number", 3],
    ["plain base64", STANDARD],
    ["other signs", { b64: "ab*d" }],
    ["too few digits", { b64: "abcde" }],
    ["wrong padding", { b64: "abc==" }],
    ["broken codes", "data:image/jpeg;base64,%zz"],
    ["two ways at once", { b64: STANDARD, url: "https://example.org" }],
  ])("is refused as %s", (_, image) => {
    expect(() => read(image)).toThrow(/"image"/);
  });
});
