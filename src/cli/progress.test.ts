/** @file What a run looks like while it goes: on a terminal, in a log file, for a program. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { tinyConfig } from "../../test/support/tiny-run.ts";
import { START } from "../train/checkpoint.ts";
import type { TrainConfig } from "../train/config.ts";
import type { StepRecord } from "../train/listeners.ts";
import { consoleLog } from "./process.ts";
import {
  commandProgress,
  durationText,
  measureProgress,
  type ProgressStyle,
  photoProgress,
  progressListener,
  StatusLine,
} from "./progress.ts";

const step = (stepInEpoch: number): StepRecord => ({
  step: stepInEpoch,
  epoch: 1,
  stepInEpoch,
  stepsPerEpoch: 100,
  loss: 0.5,
  accuracy: 0.75,
  learningRate: 0.001,
  epochLoss: 0.6,
  epochAccuracy: 0.7,
  pairsPerSecond: 8,
  engineBusy: 0.99,
});

/** Everything that a style writes of a short run. */
async function shown(
  style: ProgressStyle,
  isTTY: boolean,
  settings: Partial<TrainConfig> = {},
): Promise<string> {
  let text = "";
  const listener = progressListener(style, {
    isTTY,
    write: (part) => {
      text += part;
    },
  });
  const config = { ...tinyConfig({ epochs: 2, batchSize: 4, ...settings }), replicas: 1 };
  const checkpoint = () => Promise.reject(new Error("nobody asks for it"));
  await listener.onRunStart?.({ config, stepsPerEpoch: 100, progress: START });
  for (let i = 1; i <= 100; i++) await listener.onStep?.(step(i));
  const record = {
    epoch: 1,
    steps: 100,
    loss: 0.6,
    accuracy: 0.7,
    validationLoss: 0.65,
    validationAccuracy: 0.6,
    learningRate: 0.001,
    seconds: 125,
  };
  await listener.onEpochEnd?.({ record, best: true, checkpoint, stop: () => undefined });
  await listener.onRunEnd?.({
    reason: "finished",
    detail: "all 2 epochs are done",
    progress: START,
    checkpoint,
  });
  return text;
}

describe("progress", () => {
  it("is a line every fifty steps and one an epoch where there is no terminal", async () => {
    for (const style of ["plain", "bar"] as const) {
      expect((await shown(style, false)).split("\n")).toEqual([
        "2 epochs of 100 steps of 4 pairs",
        // 150 and then 100 steps are left at half a second each.
        "epoch 1/2   50/100  loss 0.6000  accuracy 0.7000  8.0 pairs/s  1m 15s left",
        "epoch 1/2  100/100  loss 0.6000  accuracy 0.7000  8.0 pairs/s  50s left",
        "epoch 1/2  loss 0.6000  accuracy 0.7000  val_loss 0.6500  val_accuracy 0.6000  2m 05s  best so far",
        "finished: all 2 epochs are done",
        "",
      ]);
    }
  });

  it("counts images where a batch is made of people", async () => {
    const text = await shown("plain", false, { sampling: "people" });
    expect(text).toContain("2 epochs of 100 steps of 4 images\n");
    expect(text).toContain("  8.0 images/s  ");
    expect(text).not.toContain("pairs");
  });

  it("says one epoch in the singular", async () => {
    expect(await shown("plain", false, { epochs: 1 })).toMatch(/^1 epoch of 100 steps of 4 pairs\n/);
  });

  it("is a bar that redraws itself on a terminal, and leaves the figures of an epoch", async () => {
    const text = await shown("bar", true);
    expect(text.split("\r\u001b[2Kepoch 1/2 ━")).toHaveLength(101);
    // The line of an epoch is broken between its figures.
    expect(text).toContain(
      "epoch 1/2  loss 0.6000  accuracy 0.7000  val_loss 0.6500  val_accuracy 0.6000\n           2m 05s  best so far\n",
    );
    expect(text.split("\n")).toHaveLength(5);
  });

  it("is one JSON object a line for programs", async () => {
    const lines = (await shown("json", false)).trimEnd().split("\n");
    const records = lines.map((line) => JSON.parse(line) as { kind: string });
    expect(records).toHaveLength(103);
    expect(records[0]).toEqual({ kind: "start", stepsPerEpoch: 100, step: 0 });
    expect(records[1]).toEqual({ kind: "step", ...step(1) });
    expect(records[101]).toMatchObject({ kind: "epoch", validationLoss: 0.65, best: true });
    expect(records[102]).toEqual({ kind: "end", reason: "finished", detail: "all 2 epochs are done" });
  });

  it("is chosen by whether people watch: a bar on a terminal, lines elsewhere, always on standard error", async () => {
    const shownBy = async (style: ProgressStyle | undefined, isTTY: boolean) => {
      const texts = { stdout: "", stderr: "" };
      const output = (name: "stdout" | "stderr") => ({
        isTTY,
        write: (part: string) => {
          texts[name] += part;
        },
      });
      const listener = commandProgress(style, { stdout: output("stdout"), stderr: output("stderr") });
      await listener.onRunStart?.({
        config: { ...tinyConfig(), replicas: 1 },
        stepsPerEpoch: 100,
        progress: START,
      });
      await listener.onStep?.(step(50));
      return texts;
    };
    const [terminal, file, json] = [
      await shownBy(undefined, true),
      await shownBy(undefined, false),
      await shownBy("json", true),
    ];
    expect(terminal.stderr).toContain("━");
    expect(file.stderr).toContain("epoch 1/2   50/100  loss");
    expect([terminal.stdout, file.stdout, json.stderr]).toEqual(["", "", ""]);
    expect(json.stdout.trimEnd().split("\n")).toHaveLength(2);
  });

  it("tells a measurement in tenths, or draws and removes a bar on a terminal", () => {
    const shownAs = (style: ProgressStyle | undefined, isTTY: boolean) => {
      let text = "";
      const tell = measureProgress(style, {
        isTTY,
        write: (part) => {
          text += part;
        },
      });
      for (let images = 16; images <= 320; images += 16) tell({ images, totalImages: 320 });
      return text;
    };
    const lines = shownAs(undefined, false).split("\n");
    expect(lines).toHaveLength(11);
    expect([lines[0], lines[9]]).toEqual(["measuring  32/320 images", "measuring  320/320 images"]);
    expect(JSON.parse(shownAs("json", true).split("\n")[0]!)).toEqual({
      kind: "measuring",
      images: 32,
      totalImages: 320,
    });
    const drawn = shownAs(undefined, true);
    expect(drawn).toContain("measuring ━");
    expect(drawn.endsWith("\r\u001b[2K")).toBe(true);
    expect(drawn).not.toContain("\n");
  });

  it.each([
    [0, "0s"],
    [59.6, "1m 00s"],
    [3599, "59m 59s"],
    [7320, "2h 02m"],
  ])("tells %d seconds as %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});

describe("a narrow terminal", () => {
  /** What the terminal shows at last, line by line; a text that reaches the last column would have wrapped. */
  const screenOf = (text: string) =>
    text.split("\n").map((line) => stripVTControlCharacters(line.split("\r\u001b[2K").at(-1)!));

  it.each([20, 40, 60, 80, 120, 0])("of %i columns keeps every redrawn line on one", async (columns) => {
    let text = "";
    const output = {
      isTTY: true,
      columns,
      write: (part: string) => {
        text += part;
      },
    };
    const listener = progressListener("bar", output);
    const config = { ...tinyConfig({ epochs: 200, batchSize: 4 }), replicas: 1 };
    await listener.onRunStart?.({ config, stepsPerEpoch: 100, progress: START });
    for (let i = 1; i <= 100; i++) await listener.onStep?.({ ...step(i), pairsPerSecond: 1234.5 });
    const measure = measureProgress("bar", output);
    for (let images = 1; images <= 20; images++) measure({ images, totalImages: 123_456 });
    using line = new StatusLine(output, () => 0);
    line.show(`${"digiface-1m-part-".repeat(6)}7.zip: 12.0 MB of 48.0 MB (25 %), 3.1 MB/s, 12s left`);
    const redrawn = text.split("\r\u001b[2K").slice(1);
    expect(redrawn.length).toBeGreaterThan(120);
    const longest = redrawn.map((each) => screenOf(each.split("\n")[0]!)[0]!.length);
    expect(Math.max(...longest)).toBeLessThan(columns || 80);
    expect(redrawn.at(-1)).toContain("digiface-1m-");
    expect(text.split("\n")).toHaveLength(2);
  });

  it("shows a warning on a line of its own", async () => {
    let text = "";
    const write = vi.spyOn(process.stderr, "write").mockImplementation((part) => {
      text += String(part);
      return true;
    });
    using line = new StatusLine({ isTTY: true, columns: 80, write: (part) => process.stderr.write(part) });
    line.show("reading 3 of 9 images");
    consoleLog().warn("b.jpg: cannot be read");
    line.show("reading 4 of 9 images");
    write.mockRestore();
    expect(screenOf(text)[0]).toBe("warning: b.jpg: cannot be read");
  });
});

describe("the time that photographs still take", () => {
  /** The time left, in the last text of a terminal's line. */
  function lineOf() {
    let [text, at] = ["", 0];
    const write = (part: string) => {
      text = part.trim() || text;
      return true;
    };
    const line = new StatusLine({ isTTY: true, columns: 80, write }, () => {
      at += 1000;
      return at;
    });
    let clock = 0;
    const show = photoProgress(line, "embedded", () => clock);
    return {
      wait(ms: number) {
        clock += ms;
      },
      /** Reports photographs that take so long each, and returns what is shown then. */
      report(from: number, to: number, ms: number, total: number) {
        for (let done = from; done <= to; done++) {
          clock += ms;
          show(done, total);
        }
        return stripVTControlCharacters(text);
      },
    };
  }

  it("is not said of the first photographs, and does not count what was loaded before them", () => {
    const { wait, report } = lineOf();
    wait(60_000);
    expect(report(1, 20, 100, 1000)).toBe("embedded 20 of 1,000 photographs");
    expect(report(21, 100, 100, 1000)).toBe("embedded 100 of 1,000 photographs, 1m 30s left");
  });

  it("waits for a number of photographs where each takes long", () => {
    const { report } = lineOf();
    expect(report(1, 20, 10_000, 1000)).toBe("embedded 20 of 1,000 photographs");
    expect(report(21, 21, 10_000, 1000)).toBe("embedded 21 of 1,000 photographs, 2h 43m left");
  });

  it("does not count photographs that an earlier run has done", () => {
    const { report } = lineOf();
    expect(report(1, 5000, 0.2, 6000)).toBe("embedded 5,000 of 6,000 photographs");
    expect(report(5001, 5100, 100, 6000)).toBe("embedded 5,100 of 6,000 photographs, 1m 30s left");
  });

  it("follows a pace that changes", () => {
    const { report } = lineOf();
    report(1, 1000, 100, 10_000);
    expect(report(1001, 1100, 500, 10_000)).toBe("embedded 1,100 of 10,000 photographs, 1h 14m left");
  });
});
