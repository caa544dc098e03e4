/** @file JSON in and out: numbers exactly, tensors by the rules of the contract, every error in its words. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DType, float32, type Tensor, tensor } from "../../base/tensor.ts";
import { decimalText } from "./decimal.ts";

import { parseJson } from "./parse.ts";
import { Kind } from "./tape.ts";
import { type InputTypes, readPredictJson } from "./tensors.ts";
import { JsonOut, writeClassifyJson, writeErrorJson, writePredictJson, writeRegressJson } from "./write.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const fromUtf8 = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const numberOf = (text: string) => {
  const tape = parseJson(utf8(text));
  return tape.kinds[0] === Kind.bigInteger ? tape.bigInteger(0) : tape.values[0];
};

describe("numbers", () => {
  it("are read to the nearest double", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(numberOf(JSON.stringify(value)))).toBe(value === 0 ? 0 : value);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 19n - 1n }),
        fc.integer({ min: 1, max: 19 }),
        (digits, point) => {
          const text = String(digits).padStart(20, "0");
          const decimal = `${text.slice(0, -point).replace(/^0+(?=\d)/, "")}.${text.slice(-point)}`;
          expect(numberOf(decimal)).toBe(Number(decimal));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it.each([
    ["NaN", Number.NaN],
    ["Infinity", Infinity],
    ["-Infinity", -Infinity],
    ["Inf", Infinity],
    ["-0", 0],
    ["-0.0", -0],
    ["1e-400", 0],
    ["9007199254740993", 9007199254740993n],
    ["-9223372036854775808", -9223372036854775808n],
    ["18446744073709551616", 2 ** 64],
    ["12345678901234567890.5", Number("12345678901234567890.5")],
  ])("%s", (text, value) => expect(numberOf(text)).toEqual(value));

  it.each([
    [9_000_000, "9e+06"],
    [999_999, "999999.0"],
    [0.5, "0.5"],
    [0.0003, "0.0003"],
    [0.00003, "3e-05"],
    [555_557.5, "555557.5"],
    [3, "3.0"],
    [1_234_567, "1234567.0"],
    [-0, "-0.0"],
    [0.1, "0.1"],
    [1 / 3, "0.333333343"],
    [Number.NaN, "NaN"],
    [-Infinity, "-Infinity"],
    // Exactly between two numbers of nine digits: the even one, as C prints it.
    [36351.65625, "36351.6562"],
    [-576315.8125, "-576315.812"],
    [0.1005859375, "0.100585938"],
    [0.1025390625, "0.102539062"],
  ])("prints %d as %s", (value, text) => expect(decimalText(Math.fround(value), "float32")).toBe(text));

  it("prints doubles between two numbers of seventeen digits as the even one", () => {
    expect(decimalText(1e14 + 0.125, "float64")).toBe("100000000000000.12");
    expect(decimalText(1e14 + 0.375, "float64")).toBe("100000000000000.38");
  });

  it("prints what reads back to the same value", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Math.fround(Number(decimalText(value, "float32")))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(decimalText(value, "float64"))).toBe(value);
      }),
    );
  });
});

describe("lists of numbers", () => {
  it("are read as each number is by itself, whatever stands between them", () => {
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.integer().map(String),
      fc.constantFrom("-0", "-0.0", "0.5", "NaN", "-Infinity", "1e3", "123456789012", "9007199254740993"),
      fc
        .tuple(fc.integer({ min: 0, max: 999_999_999 }), fc.bigInt({ min: 0n, max: 10n ** 12n - 1n }))
        .map(([whole, rest]) => `${whole}.${String(rest).padStart(12, "0")}`),
      fc.float({ noNaN: true, min: 0, max: 1 }).map((value) => value.toFixed(17)),
    );
    const gap = fc.constantFrom(",", ", ", " ,", ",  ", ",\n");
    fc.assert(
      fc.property(fc.array(fc.tuple(number, gap), { minLength: 1, maxLength: 40 }), (items) => {
        const text = items.map(([item, after], i) => item + (i === items.length - 1 ? "" : after)).join("");
        const tape = parseJson(utf8(`[${text}]`));
        expect(tape.count(0)).toBe(items.length);
        items.forEach(([item], i) => {
          const alone = parseJson(utf8(item));
          expect(tape.kinds[i + 1]).toBe(alone.kinds[0]);
          if (alone.kinds[0] === Kind.bigInteger) expect(tape.bigInteger(i + 1)).toBe(alone.bigInteger(0));
          else expect(tape.values[i + 1]).toBe(alone.values[0]);
        });
      }),
      { numRuns: 2000 },
    );
  });

  it.each(["[01]", "[1 2]", "[1,]", "[1.]", "[-]", "[1,,2]", "[1.5.2]", "[1-2]", "[.5]"])(
    "%s is refused",
    (text) => {
      expect(() => parseJson(utf8(text))).toThrow("JSON Parse error");
    },
  );
});

describe("numbers written as bytes", () => {
  const written = (value: number, kind: "float32" | "float64") => {
    const out = new JsonOut();
    out.decimal(value, kind);
    return fromUtf8(out.bytes());
  };

  it.each([0.5, 3, -1 / 3, 999_999, 0.0003, 9.999_999_5, 123_456.5, 1e-4, 100_000, 0.1 + 2 ** -20, 1e6])(
    "agree with the text of %d",
    (value) => {
      expect(written(value, "float64")).toBe(decimalText(value, "float64"));
      expect(written(Math.fround(value), "float32")).toBe(decimalText(Math.fround(value), "float32"));
    },
  );

  it("agree with the text of any number", () => {
    const range = { noNaN: true, noDefaultInfinity: true, min: -1_500_000, max: 1_500_000 };
    fc.assert(
      fc.property(
        fc.float({ ...range, min: Math.fround(range.min), max: Math.fround(range.max) }),
        (value) => {
          expect(written(value, "float32")).toBe(decimalText(value, "float32"));
        },
      ),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999_999, max: 999_999_999 }),
        fc.integer({ min: 0, max: 9 }),
        (n, k) => {
          const value = n / 10 ** k;
          expect(written(value, "float64")).toBe(decimalText(value, "float64"));
          expect(written(Math.fround(value), "float32")).toBe(decimalText(Math.fround(value), "float32"));
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe("documents", () => {
  it.each([
    ["", "The document is empty"],
    ["  ", "The document is empty. at offset: 2"],
    ["{", "Missing a name for object member. at offset: 1"],
    ['{"a" 1}', "Missing a colon after a name of object member. at offset: 5"],
    ['{"a": 1 "b"}', "Missing a comma or } after an object member. at offset: 8"],
    ["[1 2]", "Missing a comma or ] after an array element. at offset: 3"],
    ["[1,]", "Invalid value. at offset: 3"],
    ["[nul]", "Invalid value. at offset: 4"],
    ['["abc', "Missing a closing quotation mark in string. at offset: 5"],
    ['["\\x"]', "Invalid escape character in string. at offset: 2"],
    ['["\\ud800x"]', "The surrogate pair in string is invalid. at offset: 2"],
    ["[1e999]", "Number too big to be stored in double. at offset: 1"],
    ["[1.]", "Miss fraction part in number. at offset: 3"],
    ["[1e]", "Miss exponent in number. at offset: 3"],
  ])("%j: %s", (text, message) => {
    expect(() => parseJson(utf8(text))).toThrow(`JSON Parse error: ${message}`);
  });

  it("agrees with JSON.parse on any document", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => parseJson(utf8(text))).not.toThrow();
      }),
    );
    const [text] = fc.sample(fc.string({ unit: "grapheme" }), 1);
    expect(parseJson(utf8(JSON.stringify(text))).text(0)).toBe(text);
    expect(parseJson(utf8('"\\ud83d\\ude00\\u00e9\\n"')).text(0)).toBe("😀é\n");
  });

  it("ignores what follows the first value, and survives half a million levels", () => {
    expect(parseJson(utf8("[1] garbage")).count(0)).toBe(1);
    expect(parseJson(utf8("[".repeat(500_000) + "]".repeat(500_000))).kinds).toHaveLength(1_000_000);
    expect(() => parseJson(utf8("[".repeat(500_000)))).toThrow("Invalid value. at offset: 500000");
  });
});

const types = (entries: Record<string, DType>): InputTypes => new Map(Object.entries(entries));
const read = (text: string, entries: Record<string, DType>) =>
  readPredictJson(utf8(text), () => types(entries));
const one = (text: string, dtype: DType = "float32") => [...read(text, { x: dtype }).inputs.values()][0]!;

describe("predict requests", () => {
  it("stacks rows and takes columns as they are", () => {
    expect(one('{"instances": [[1, 2.5], [3, NaN]]}')).toEqual(float32([2, 2], [1, 2.5, 3, Number.NaN]));
    expect(one('{"instances": [{"x": 1}, {"x": 2}]}')).toEqual(float32([2], [1, 2]));
    expect(one('{"inputs": 7}')).toEqual(float32([], [7]));
    expect(one('{"inputs": {"x": [[7]], "other": 1}}')).toEqual(float32([1, 1], [7]));
    expect(one('{"inputs": [[], []]}')).toEqual(float32([2, 0], []));
    const both = read('{"instances": [{"a": [1], "b": true}], "signature_name": "s"}', {
      a: "int32",
      b: "bool",
    });
    expect(both.signatureName).toBe("s");
    expect(both.inputs.get("a")).toEqual(tensor("int32", [1, 1], Int32Array.of(1)));
    expect(both.inputs.get("b")).toEqual(tensor("bool", [1], Uint8Array.of(1)));
  });

  it("reads strings and base64", () => {
    const bytes = (text: string) => (one(text, "string") as Tensor<"string">).data.map(fromUtf8);
    expect(bytes('{"instances": ["é", {"b64": "aGk="}, {"b64": "aGk"}]}')).toEqual(["é", "hi", "hi"]);
    expect(one('{"inputs": {"b64": "aGk="}}', "string").shape).toEqual([]);
  });

  it("narrows numbers as the server does", () => {
    expect(one('{"inputs": 1435774380}').data[0]).toBe(1435774336);
    expect(one('{"inputs": 1e300}').data[0]).toBe(Infinity);
    expect(one('{"inputs": 300}', "uint8").data[0]).toBe(44);
    expect(one('{"inputs": 9223372036854775807}', "int64").data[0]).toBe(9223372036854775807n);
    expect(one('{"inputs": 18446744073709551615}', "uint64").data[0]).toBe(18446744073709551615n);
  });

  it.each<[string, Record<string, DType>, string]>([
    ["[1]", { x: "float32" }, "JSON Value: [1] Is not object"],
    [
      '{"signature_name": 5}',
      { x: "float32" },
      "JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. 'signature_name' key must be a string value.",
    ],
    ["{}", { x: "float32" }, "Missing 'inputs' or 'instances' key"],
    ["{}", {}, "Failed to get input map for signature: DEFAULT"],
    [
      '{"instances": 1, "inputs": 2}',
      { x: "float32" },
      "JSON Value: {\n    \"instances\": 1,\n    \"inputs\": 2\n} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    ],
    [
      '{"instances": 1}',
      { x: "float32" },
      "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array",
    ],
    [
      '{"instances": []}',
      { x: "float32" },
      "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
    ],
    [
      '{"instances": [1]}',
      { a: "float32", b: "float32" },
      "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
    ],
    [
      '{"inputs": [1]}',
      { a: "float32", b: "float32" },
      "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
    ],
    ['{"inputs": {"a": 1}}', { a: "float32", b: "float32" }, "Missing named input: b in 'inputs' object."],
    [
      '{"instances": [{"a": 1}]}',
      { b: "float32", a: "float32" },
      "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: a,b",
    ],
    [
      '{"instances": [{"a": 1, "c": 2}]}',
      { a: "float32" },
      "Failed to process element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: c",
    ],
    [
      '{"instances": [{"x": 1}, 2]}',
      { x: "float32" },
      "Expecting object but got list at item 1 of input list",
    ],
    [
      '{"instances": [2, {"x": 1}]}',
      { x: "float32" },
      "Expecting value/list but got object at item 1 of input list",
    ],
    ['{"inputs": ["a"]}', { x: "float32" }, 'JSON Value: "a" Type: String is not of expected type: float'],
    ['{"inputs": 1.0}', { x: "int32" }, "JSON Value: 1.0 Type: Number is not of expected type: int32"],
    [
      '{"instances": [[1, 2], [3]]}',
      { x: "float32" },
      "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1",
    ],
    [
      '{"instances": [[[1, 2]], [[3], [4]]]}',
      { x: "float32" },
      "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1,2] but got: [2,1]",
    ],
    [
      '{"inputs": [[1, 2], [3]]}',
      { x: "float32" },
      "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ],
    ['{"inputs": [1, [2]]}', { x: "float32" }, "Encountered list at unexpected level: 1 expected < 1"],
    [
      '{"inputs": [[1], 2]}',
      { x: "float32" },
      "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ],
    ['{"inputs": {"b64": "a-_="}}', { x: "string" }, "Unable to base64 decode"],
    ['{"inputs": {"b64": "aGk=="}}', { x: "string" }, "Unable to base64 decode"],
    [
      '{"inputs": [{"b65": "aGk="}]}',
      { x: "string" },
      'JSON Value: {\n    "b65": "aGk="\n} not formatted correctly for base64 data',
    ],
    ['{"inputs": 1}', { x: "float16" }, "Conversion of JSON Value: 1 to type: half"],
  ])("refuses %s for %o", (text, entries, message) => {
    let caught: unknown;
    try {
      read(text, entries);
    } catch (error) {
      caught = error;
    }
    expect((caught as Error).message).toBe(message);
  });

  it("labels an unsupported type UNIMPLEMENTED in columns and INVALID_ARGUMENT in rows", () => {
    expect(() => read('{"inputs": 1}', { x: "float16" })).toThrow(
      expect.objectContaining({ status: "UNIMPLEMENTED" }),
    );
    expect(() => read('{"instances": [1]}', { x: "float16" })).toThrow(
      expect.objectContaining({ status: "INVALID_ARGUMENT" }),
    );
  });

  it("looks for the model only after the document and the signature's name", () => {
    const lookup = () => {
      throw new Error("looked up");
    };
    expect(() => readPredictJson(utf8("{"), lookup)).toThrow("JSON Parse error");
    expect(() => readPredictJson(utf8('{"signature_name": 1}'), lookup)).toThrow("signature_name");
    expect(() => readPredictJson(utf8("{}"), lookup)).toThrow("looked up");
  });
});

describe("answers", () => {
  const text = (outputs: Record<string, Tensor>, format: "row" | "columnar") =>
    fromUtf8(writePredictJson(new Map(Object.entries(outputs)), format));

  it("lays rows out as the server does", () => {
    expect(text({ y: float32([3], [3.5, 4, 5.5]) }, "row")).toBe(
      '{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}',
    );
    expect(text({ y: float32([2, 2], [2.5, 3, 3.5, 4]) }, "row")).toBe(
      '{\n    "predictions": [[2.5, 3.0], [3.5, 4.0]\n    ]\n}',
    );
    expect(text({ y: float32([0, 2], []) }, "row")).toBe('{\n    "predictions": []\n}');
    expect(
      JSON.parse(text({ a: float32([1], [1]), b: tensor("bool", [1, 1], Uint8Array.of(1)) }, "row")),
    ).toEqual({
      predictions: [{ a: 1, b: [true] }],
    });
  });

  it("lays columns out as the server does", () => {
    expect(text({ y: float32([2], [1, 2]) }, "columnar")).toBe(
      '{\n    "outputs": [\n        1.0,\n        2.0\n    ]\n}',
    );
    expect(text({ y: float32([], [1]) }, "columnar")).toBe('{\n    "outputs": 1.0\n}');
    const two = { a: tensor("int64", [1], BigInt64Array.of(2n ** 60n)), b: float32([0], []) };
    expect(text(two, "columnar")).toBe(
      '{\n    "outputs": {\n        "a": [\n            1152921504606846976\n        ],\n        "b": []\n    }\n}',
    );
  });

  it("writes strings raw, and as base64 where the name says so", () => {
    const value = tensor("string", [1], [utf8('é"\n')]);
    expect(JSON.parse(text({ y: value }, "row"))).toEqual({ predictions: ['é"\n'] });
    expect(JSON.parse(text({ y_bytes: value }, "row"))).toEqual({ predictions: [{ b64: "w6kiCg==" }] });
  });

  it("refuses rows without a common batch, and types JSON has no form for", () => {
    expect(() => text({ y: float32([], [1]) }, "row")).toThrow("Tensor name: y has no shape information ");
    expect(() => text({ a: float32([1], [1]), b: float32([2], [1, 2]) }, "row")).toThrow(
      "Tensor name: b has inconsistent batch size: 2 expecting: 1",
    );
    expect(() => text({ y: tensor("float16", [1], Uint16Array.of(0)) }, "row")).toThrow(
      "Failed to write JSON value for tensor type: half",
    );
  });

  it("writes classes, regressions and errors", () => {
    expect(
      fromUtf8(
        writeClassifyJson({
          method: "classify",
          batch: 1,
          count: 1,
          labels: undefined,
          scores: Float32Array.of(3),
        }),
      ),
    ).toBe('{\n    "results": [[["", 3.0]]\n    ]\n}');
    expect(fromUtf8(writeRegressJson([3.5, 4]))).toBe('{\n    "results": [3.5, 4.0]\n}');
    expect(fromUtf8(writeErrorJson('a "b"'))).toBe('{\n    "error": "a \\"b\\""\n}');
  });
});
