/**
 * @file Private mode in a real browser: two photographs are compared in the page, no request carries one of them, and the
 * figures are the server's.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeJpeg, encodePng } from "../../src/image/decode.ts";
import { app, models, type RunningApp } from "../../src/index.ts";
import { drawPhoto } from "../../src/synthetic/draw.ts";
import { openBrowser } from "./browser.ts";

const ROOT = join(import.meta.dirname, "../..");
const PACK_FILES = join(ROOT, "../shared/models/opencv");
const LFW = join(ROOT, "../shared/datasets/lfw");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PACK = "opencv-sface";
/** The largest difference of the figures; 0.0002 in the 780 pairs of `bench/private-mode.ts`. */
const MOST_OFF = 1e-3;

const isPackThere = existsSync(PACK_FILES);
const note = isPackThere ? "" : ` (not tested: there is no ${PACK_FILES})`;
const browser = isPackThere ? await openBrowser() : undefined;
const work = mkdtempSync(join(tmpdir(), "faceid-private-"));

let running: RunningApp;

interface Named {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** A drawn person as PNG or, for every other photograph, as JPEG, and of several sizes. */
async function drawn(identity: number, number: number): Promise<Named> {
  const side = 240 + 60 * (identity % 4);
  const pixels = drawPhoto(
    { seed: 0, identity, number, difficulty: 0.4 },
    { height: side, width: side, channels: 3 },
  );
  const isJpeg = (identity + number) % 2 === 0;
  const bytes = isJpeg ? await encodeJpeg(pixels, side, side) : await encodePng(pixels, side, side);
  const name = `${identity}-${number}.${isJpeg ? "jpg" : "png"}`;
  return { name, mimeType: isJpeg ? "image/jpeg" : "image/png", buffer: Buffer.from(bytes) };
}

/** Each first photograph beside each second one. */
interface Photos {
  readonly firsts: readonly Named[];
  readonly seconds: readonly Named[];
}

/** Twenty pairs of drawn people, five of them of one person. */
const drawnPhotos = async (): Promise<Photos> => ({
  firsts: await Promise.all([1, 3, 4, 5].map((identity) => drawn(identity, 0))),
  seconds: await Promise.all([1, 3, 4, 5, 6].map((identity) => drawn(identity, 1))),
});

/** Ten pairs of LFW, two of them of one person. */
function lfwPhotos(): Photos {
  const people = readdirSync(LFW, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readdirSync(join(LFW, name)).map((file) => join(LFW, name, file)))
    .filter((files) => files.length >= 2)
    .slice(0, 5);
  const named = (path: string): Named => ({
    name: "p.jpg",
    mimeType: "image/jpeg",
    buffer: readFileSync(path),
  });
  return {
    firsts: people.slice(0, 2).map(([first]) => named(first!)),
    seconds: people.map(([, second]) => named(second!)),
  };
}

/** The server's figures, asked for without the page. */
async function asked(first: Named, second: Named) {
  const form = new FormData();
  form.set("anchor", new Blob([new Uint8Array(first.buffer)]), first.name);
  form.set("verification", new Blob([new Uint8Array(second.buffer)]), second.name);
  const response = await fetch(`${running.url}v1/models/${PACK}:verify`, { method: "POST", body: form });
  return (await response.json()) as { similarity: number; same: boolean; threshold: number };
}

interface Sent {
  readonly method: string;
  readonly url: string;
  readonly body: number;
}

/** WebGPU by Chromium's own software. */
const WITH_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

async function privatePage(shown = browser!): Promise<{ page: Page; sent: Sent[]; faults: string[] }> {
  const context = await shown.newContext({ locale: "en-GB", viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const [sent, faults]: [Sent[], string[]] = [[], []];
  // Requests of the thread included.
  context.on("request", (request) =>
    sent.push({
      method: request.method(),
      url: request.url(),
      body: request.postDataBuffer()?.length ?? 0,
    }),
  );
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(`${running.url}#compare`);
  await page.getByLabel("Compare in this browser").check();
  return { page, sent, faults };
}

/** Gives the page a photograph, and reads the figures of the comparison. */
async function shown(page: Page, index: 0 | 1, photo: Named): Promise<{ similarity: number; same: boolean }> {
  await page.evaluate("document.querySelector('.result').replaceChildren()");
  await page.locator("input[type=file]").nth(index).setInputFiles(photo);
  await page.waitForSelector(".verdict");
  return await page.evaluate(`(() => {
    const result = document.querySelector(".result");
    return { similarity: Number(result.dataset.similarity), same: result.querySelector("h2.same") !== null };
  })()`);
}

describe.skipIf(browser === undefined)(`private mode${note}`, () => {
  beforeAll(async () => {
    execFileSync(process.execPath, ["--import", "tsx", "scripts/web.ts"], { cwd: ROOT });
    process.env.FACEID_MODELS_DIR = join(work, "models");
    await models.add(PACK, { from: PACK_FILES });
    running = await app({ gallery: join(work, "gallery"), port: 0 });
  });
  afterAll(async () => {
    await browser?.close();
    await running?.close();
    rmSync(work, { recursive: true, force: true });
  });

  it.each([
    ["drawn people", true, drawnPhotos],
    [
      `people of LFW${existsSync(LFW) ? "" : ` (not tested: there is no ${LFW})`}`,
      existsSync(LFW),
      lfwPhotos,
    ],
  ] as const)(
    "gives the server's figures and sends no photograph: %s",
    {
      timeout: 600_000,
    },
    async (_name, isThere, photosOf) => {
      if (!isThere) return;
      const { page, sent, faults } = await privatePage();
      const { firsts, seconds } = await photosOf();
      const off: number[] = [];
      await page.locator("input[type=file]").nth(1).setInputFiles(seconds[0]!);
      for (const first of firsts) {
        await shown(page, 0, first);
        for (const second of seconds) {
          const here = await shown(page, 1, second);
          const there = await asked(first, second);
          off.push(Math.abs(here.similarity - there.similarity));
          if (Math.abs(there.similarity - there.threshold) > MOST_OFF) expect(here.same).toBe(there.same);
        }
      }
      expect(off).toHaveLength(firsts.length * seconds.length);
      expect(Math.max(...off)).toBeLessThan(MOST_OFF);
      expect(sent.filter(({ url }) => url.includes("/v1/service/files/"))).toHaveLength(2);
      expect(sent.filter(({ method, body }) => method !== "GET" || body > 0)).toEqual([]);
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  it("tries WebGPU where the browser has it, and says what came of it", { timeout: 600_000 }, async () => {
    const gpu = (await openBrowser(WITH_GPU))!;
    try {
      const { page, sent, faults } = await privatePage(gpu);
      const [first, second] = [await drawn(4, 0), await drawn(4, 1)];
      await page.locator("input[type=file]").nth(1).setInputFiles(second);
      await page.locator("input[type=file]").nth(0).setInputFiles(first);
      await page.waitForSelector(".verdict", { timeout: 500_000 });
      const hasAdapter = await page.evaluate(
        "navigator.gpu?.requestAdapter().then((adapter) => adapter !== null) ?? false",
      );
      const line = page.locator(".private");
      const [engine, distance] = await Promise.all([
        line.getAttribute("data-engine"),
        line.getAttribute("data-distance"),
      ]);
      const similarity = Number(await page.locator(".result").getAttribute("data-similarity"));
      expect(Math.abs(similarity - (await asked(first, second)).similarity)).toBeLessThan(MOST_OFF);
      if (hasAdapter) {
        expect(["gpu", "slower"]).toContain(engine);
        expect(Number(distance)).toBeLessThan(5e-4);
        expect(await line.textContent()).toMatch(/The graphics processor (took part|was slower)/);
      } else expect(engine).toBe("none");
      const loaded = sent.map(({ url }) => url.split("/").at(-1));
      expect(loaded).toContain(hasAdapter ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs");
      expect(loaded).not.toContain(hasAdapter ? "ort.wasm.min.mjs" : "ort.webgpu.min.mjs");
      expect(sent.filter(({ method, body }) => method !== "GET" || body > 0)).toEqual([]);
      expect(faults).toEqual([]);
    } finally {
      await gpu.close();
    }
  });

  it("says what is wrong with a photograph, in its place, and goes back to the server", async () => {
    const { page, sent, faults } = await privatePage();
    const inputs = page.locator("input[type=file]");
    await inputs.nth(0).setInputFiles(await drawn(4, 0));
    const grey = await encodePng(new Uint8Array(64 * 64 * 3).fill(99), 64, 64);
    await inputs.nth(1).setInputFiles({ name: "g.png", mimeType: "image/png", buffer: Buffer.from(grey) });
    await page.waitForSelector(".photo:nth-child(2) .problem:not(:empty)");
    expect(await page.locator(".photo .problem").allTextContents()).toEqual([
      "",
      expect.stringMatching(/^No face was found/),
    ]);
    await inputs.nth(1).setInputFiles(await drawn(4, 1));
    await page.waitForSelector(".verdict");
    expect(await page.locator(".private").textContent()).toContain("did not leave this page");
    await page.evaluate(AXE);
    const { violations } = (await page.evaluate("axe.run(document)")) as AxeResults;
    expect(violations.map(({ id }) => id)).toEqual([]);
    expect(sent.filter(({ method, body }) => method !== "GET" || body > 0)).toEqual([]);
    await page.getByLabel("Compare in this browser").focus();
    await page.keyboard.press("Space");
    await page.waitForSelector(".verdict");
    await page.waitForSelector(".private", { state: "detached" });
    expect(sent.filter(({ method }) => method === "POST").map(({ url }) => url)).toEqual([
      `${running.url}v1/models/${PACK}:verify`,
    ]);
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("loads the model again where that has failed", async () => {
    const { page, sent } = await privatePage();
    await page.context().route("**/v1/service/files/*", (route) => route.abort(), { times: 1 });
    const inputs = page.locator("input[type=file]");
    await inputs.nth(0).setInputFiles(await drawn(4, 0));
    await inputs.nth(1).setInputFiles(await drawn(4, 1));
    await page.waitForSelector(".photo .problem:not(:empty)");
    await inputs.nth(1).setInputFiles(await drawn(4, 1));
    await page.waitForSelector(".verdict");
    expect(sent.filter(({ method, body }) => method !== "GET" || body > 0)).toEqual([]);
    await page.context().close();
  });

  it("is not offered without the runtime, and says why", async () => {
    const page = await browser!.newPage({ locale: "de" });
    await page.route(running.url, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replace(/data-runtime="[^"]+"/, "") });
    });
    await page.goto(`${running.url}#compare`);
    expect(await page.getByLabel("In diesem Browser vergleichen").isDisabled()).toBe(true);
    expect(await page.locator(".choice .hint").textContent()).toContain("onnxruntime-web");
    await page.close();
  });
});
