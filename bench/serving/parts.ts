/** @file Processor time of the unavoidable parts of a request: decoding photographs, parsing numbers. */
import { decodeImage, decodePixels } from "../../src/image/decode.ts";
import { resizeInto } from "../../src/image/resize.ts";
import { prepareInto } from "../../src/image/settings.ts";
import { readPredictJson } from "../../src/serving/json/tensors.ts";
import { median } from "./load.ts";
import { type Requests, SIDE } from "./requests.ts";

const ROUNDS = 5;
const RUNS = 60;
/** Pairs in parallel: enough to keep two cores busy, as in the server. */
const AT_ONCE = 2;
const SETTINGS = { height: SIDE, width: SIDE, channels: 3 } as const;
const PIXELS = SIDE * SIDE * 3;

/** A part of a request's work, and this process's time for it in milliseconds. */
export interface Part {
  readonly name: string;
  readonly cpuMs: number;
}

async function timed(name: string, work: () => unknown): Promise<Part> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const line = async () => {
      for (let run = 0; run < RUNS / AT_ONCE; run++) await work();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, line));
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000 / RUNS);
  }
  return { name, cpuMs: median(times) };
}

/** Measures each part alone, in this process. */
export async function measureParts({ files, json }: Requests): Promise<readonly Part[]> {
  const body = json.subarray(json.indexOf("\r\n\r\n") + 4);
  const types = new Map([
    ["anchor_img", "float32" as const],
    ["verification_img", "float32" as const],
  ]);
  const out = new Float32Array(2 * PIXELS);
  const both = (decode: (file: Uint8Array, offset: number) => Promise<void>) => () =>
    Promise.all(files.map((file, i) => decode(file, i * PIXELS)));
  const decodePlain = (file: Uint8Array) => decodePixels(file, { orient: false, storedColours: true });
  return [
    await timed("two JPEGs to pixels", () => Promise.all(files.map(decodePlain))),
    await timed(
      "the same with resizing as for a form",
      both(async (file, offset) => prepareInto(await decodeImage(file, SETTINGS), out, offset)),
    ),
    await timed(
      "as for base64",
      both(async (file, offset) => {
        await resizeInto(await decodePlain(file), SETTINGS, out, offset);
      }),
    ),
    await timed("reading of the JSON", () => readPredictJson(body, () => types)),
  ];
}
