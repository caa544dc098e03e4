/**
 * @file The report page in a real browser, on a desk, on a phone, in the dark and on paper: nothing is loaded, nothing
 * sticks out, letters can be read, and axe finds no barrier. Screenshots are left in `.cache/pages/`.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { AxeResults } from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reportHtml } from "../../src/evaluate/report.ts";
import { openBrowser } from "./browser.ts";
import { fullReport } from "./report-content.ts";

const PICTURES = join(import.meta.dirname, "../../.cache/pages");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
/** A4 between margins of 12 mm, at 96 pixels an inch. */
const PAPER = { width: 703, height: 1032 };

interface View {
  readonly options: BrowserContextOptions;
  readonly media?: "print";
}

const VIEWS: Record<string, View> = {
  desktop: { options: { viewport: DESK } },
  phone: { options: { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true } },
  dark: { options: { viewport: DESK, colorScheme: "dark" } },
  "dark phone": { options: { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, colorScheme: "dark" } },
  print: { options: { viewport: PAPER }, media: "print" },
};

const browser = await openBrowser();
const file = join(PICTURES, "report.html");

/** What is asked of the page itself; written as text, since it runs in the browser. */
const MEASURE = `(() => {
  const heights = [...document.querySelectorAll(".charts svg text")].map((text) => {
    const svg = text.ownerSVGElement;
    return 13 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  });
  return {
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    smallestLetters: Math.min(...heights),
    charts: document.querySelectorAll(".charts svg").length,
    broken: [...document.images].filter((image) => image.naturalWidth === 0 || image.width < 40).length,
    pictures: document.images.length,
    ground: getComputedStyle(document.body).backgroundColor,
  };
})()`;

interface Measured {
  readonly sideways: number;
  readonly smallestLetters: number;
  readonly charts: number;
  readonly broken: number;
  readonly pictures: number;
  readonly ground: string;
}

async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const results = (await page.evaluate("axe.run(document)")) as AxeResults;
  expect(results.passes.length).toBeGreaterThan(10);
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}

describe.skipIf(browser === undefined)("the report page", () => {
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(file, reportHtml(await fullReport()));
  });
  afterAll(() => browser?.close());

  it.each(Object.entries(VIEWS))("can be read: %s", async (name, { options, media }) => {
    const context = await browser!.newContext(options);
    const page = await context.newPage();
    const loaded: string[] = [];
    page.on("request", (request) => loaded.push(request.url().slice(0, 40)));
    page.on("pageerror", (error) => loaded.push(error.message));
    if (media !== undefined) await page.emulateMedia({ media });
    await page.goto(pathToFileURL(file).href);
    await page.screenshot({ path: join(PICTURES, `${name.replace(" ", "-")}.png`), fullPage: true });
    const measured = (await page.evaluate(MEASURE)) as Measured;
    expect(loaded.filter((url) => !/^(file|data):/.test(url))).toEqual([]);
    expect(measured).toMatchObject({ sideways: 0, charts: 5, broken: 0, pictures: 16 });
    expect(measured.smallestLetters).toBeGreaterThan(8.5);
    expect(measured.ground).toBe(options.colorScheme === "dark" ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)");
    expect(await barriers(page)).toEqual([]);
    await context.close();
  });

  it("opens the list of layers by keyboard", async () => {
    const page = await browser!.newPage();
    await page.goto(pathToFileURL(file).href);
    await page.locator("summary").focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details pre").isVisible()).toBe(true);
    expect(await page.locator("details pre").textContent()).toContain("1,711,169");
    await page.close();
  });

  it("prints on few sheets", async () => {
    const page = await browser!.newPage();
    await page.goto(pathToFileURL(file).href);
    const margin = { top: "12mm", bottom: "12mm", left: "12mm", right: "12mm" };
    const pdf = await page.pdf({ path: join(PICTURES, "report.pdf"), format: "A4", margin });
    expect(pdf.toString("latin1").match(/\/Type \/Page\b/g)!.length).toBeLessThanOrEqual(5);
    await page.close();
  });
});
