/**
 * @file The challenge before the camera in a real browser, with the server's detector: a drawn head that turns as it is asked
 * passes, a still photograph of it does not, whatever is done with it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeJpeg } from "../../src/image/decode.ts";
import { app, models, type RunningApp } from "../../src/index.ts";
import { openBrowser } from "./browser.ts";
import { drawHead, type Turn } from "./turned-head.ts";

const ROOT = join(import.meta.dirname, "../..");
const PACK_FILES = join(ROOT, "../shared/models/opencv");
const PICTURES = join(ROOT, ".cache/pages");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const isPackThere = existsSync(PACK_FILES);
const note = isPackThere ? "" : ` (not tested: there is no ${PACK_FILES})`;
const browser = isPackThere ? await openBrowser() : undefined;
const work = mkdtempSync(join(tmpdir(), "faceid-challenge-"));
const SIDE = 360;

const TURNS: Readonly<Record<string, Turn>> = {
  front: { yaw: 0, pitch: 0 },
  left: { yaw: 26, pitch: 0 },
  right: { yaw: -26, pitch: 0 },
  // The drawn head's pitch is upwards.
  nod: { yaw: 0, pitch: -28 },
};
let running: RunningApp;
const pictures: Record<string, string> = {};

/** A camera that shows what `show` names, moved by `place`; its stream is that of a canvas. */
const CAMERA = `
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 480];
  const context = canvas.getContext("2d");
  window.show = "front";
  window.place = { scale: 1, narrow: 1, angle: 0 };
  setInterval(() => {
    const picture = window.heads?.[window.show];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#999";
    context.fillRect(0, 0, 640, 480);
    if (picture === undefined) return;
    const { scale, narrow, angle } = window.place;
    context.translate(320, 240);
    context.rotate(angle);
    context.scale(scale * narrow, scale);
    context.drawImage(picture, -180, -180);
  }, 40);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
`;

async function camera(options: BrowserContextOptions = {}): Promise<{ page: Page; faults: string[] }> {
  const context = await browser!.newContext({
    locale: "en-GB",
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  await page.addInitScript(CAMERA);
  await page.goto(`${running.url}#compare`);
  await page.evaluate(`(async () => {
    window.heads = {};
    for (const [name, b64] of Object.entries(${JSON.stringify(pictures)})) {
      const image = new Image();
      image.src = "data:image/jpeg;base64," + b64;
      await image.decode();
      window.heads[name] = image;
    }
  })()`);
  await page.locator(".photo button:has-text('Camera')").first().click();
  await page.waitForSelector("dialog video");
  return { page, faults };
}

/** What the page asks for now. */
const order = (page: Page) => page.locator(".order").textContent();
const ORDERS: Readonly<Record<string, string>> = {
  "Look straight into the camera.": "front",
  "Turn your head to your left.": "left",
  "Turn your head to your right.": "right",
  "Nod: bend your head down.": "nod",
};

async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate("axe.run(document)")) as AxeResults;
  return violations.map(({ id }) => id);
}

describe.skipIf(browser === undefined)(`the challenge${note}`, () => {
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    execFileSync(process.execPath, ["--import", "tsx", "scripts/web.ts"], { cwd: ROOT });
    process.env.FACEID_MODELS_DIR = join(work, "models");
    await models.add("opencv-sface", { from: PACK_FILES });
    running = await app({ gallery: join(work, "gallery"), port: 0 });
    for (const [name, turn] of Object.entries(TURNS)) {
      const jpeg = await encodeJpeg(drawHead(1, turn, SIDE), SIDE, SIDE);
      pictures[name] = Buffer.from(jpeg).toString("base64");
    }
  });
  afterAll(async () => {
    await browser?.close();
    await running?.close();
    rmSync(work, { recursive: true, force: true });
  });

  it("is off, and passed by a head that turns as asked, by keyboard", { timeout: 240_000 }, async () => {
    const { page, faults } = await camera();
    const box = page.getByLabel("Ask for movements first");
    expect(await box.isChecked()).toBe(false);
    expect(await page.getByRole("button", { name: "Take photograph" }).isEnabled()).toBe(true);
    await box.focus();
    await page.keyboard.press("Space");
    expect(await page.getByRole("button", { name: "Take photograph" }).isDisabled()).toBe(true);
    const asked: string[] = [];
    while ((await page.locator("dialog").count()) > 0) {
      const text = await order(page).catch(() => null);
      const wanted = ORDERS[text ?? ""];
      if (wanted !== undefined && wanted !== asked.at(-1)) {
        asked.push(wanted);
        await page.evaluate(`window.show = "${wanted}"`);
        if (asked.length === 2) {
          await page.screenshot({ path: join(PICTURES, "app-challenge.png") });
          expect(await barriers(page)).toEqual([]);
        }
      }
      expect(text ?? "", "not failed").not.toMatch(/out of sight|several|elsewhere|too long|other side/);
      await page.waitForTimeout(50);
    }
    expect(asked.toSorted()).toEqual(["front", "front", "front", "front", "left", "nod", "right"]);
    await page.waitForSelector(".frame canvas");
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("is not passed by a still photograph, tilted and moved too, and can be tried again", {
    timeout: 240_000,
  }, async () => {
    const { page, faults } = await camera({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
    await page.getByLabel("Ask for movements first").check();
    await page.locator(".order", { hasText: /Turn|Nod/ }).waitFor();
    const first = await order(page);
    const places = [
      { scale: 1, narrow: 0.75, angle: 0 },
      { scale: 0.8, narrow: 0.9, angle: 0.3 },
      { scale: 1.2, narrow: 1, angle: -0.3 },
      { scale: 1, narrow: 0.8, angle: 0.2 },
    ];
    for (let i = 0; (await page.getByRole("button", { name: "Try again" }).isVisible()) === false; i++) {
      expect([first, null]).toContain(await order(page));
      await page.evaluate(`window.place = ${JSON.stringify(places[i % places.length])}`);
      await page.waitForTimeout(700);
      if (await page.getByRole("button", { name: "Try again" }).isVisible()) break;
    }
    expect(await order(page)).toMatch(/too long|elsewhere|out of sight/);
    expect(await page.locator("dialog").count()).toBe(1);
    await page.screenshot({ path: join(PICTURES, "app-challenge-failed-390-dark.png") });
    expect(await barriers(page)).toEqual([]);
    await page.evaluate("window.place = { scale: 1, narrow: 1, angle: 0 }");
    await page.getByRole("button", { name: "Try again" }).press("Enter");
    await page.locator(".order", { hasText: /Turn|Nod|Look/ }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    expect(await page.locator("dialog").count()).toBe(0);
    expect(faults).toEqual([]);
    await page.context().close();
  });
});
