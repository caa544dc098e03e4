/**
 * @file The page of `faceid app` in a real browser, with drawn faces and a camera that plays a file: every view, on a desk, a
 * phone and a large screen, light and dark, by keyboard and in three languages. Screenshots are left in `.cache/pages/`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeJpeg, encodePng } from "../../src/image/decode.ts";
import { app, GalleryClient, models, type RunningApp, serve } from "../../src/index.ts";
import { newKey, writeKeys } from "../../src/serving/access/keys.ts";
import { drawPhoto } from "../../src/synthetic/draw.ts";
import { OPENCV_SFACE_CALIBRATION } from "../../src/verify/opencv-sface-calibration.ts";
import { WORDS, type Word } from "../../web/src/dictionaries.ts";
import { openBrowser } from "./browser.ts";

const ROOT = join(import.meta.dirname, "../..");
const PACK_FILES = join(ROOT, "../shared/models/opencv");
const PICTURES = join(ROOT, ".cache/pages");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PACK = "opencv-sface";

const work = mkdtempSync(join(tmpdir(), "faceid-page-"));
const SIDE = 480;

/** A drawn person; people 1 and 2 are unlike each other to the pack, too. */
const drawn = (identity: number, number: number) =>
  drawPhoto({ seed: 0, identity, number, difficulty: 0.4 }, { height: SIDE, width: SIDE, channels: 3 });

async function photo(identity: number, number: number): Promise<string> {
  const path = join(work, `${identity}-${number}.png`);
  if (!existsSync(path)) writeFileSync(path, await encodePng(drawn(identity, number), SIDE, SIDE));
  return path;
}

const VIDEO = { width: 640, height: 480 };

/** A person in the middle of a grey picture, as a film of a few frames. */
async function film(identity: number): Promise<string> {
  const frame = new Uint8Array(VIDEO.width * VIDEO.height * 3).fill(150);
  const face = drawn(identity, 0);
  const left = (VIDEO.width - SIDE) / 2;
  for (let y = 0; y < SIDE; y++) {
    frame.set(face.subarray(y * SIDE * 3, (y + 1) * SIDE * 3), (y * VIDEO.width + left) * 3);
  }
  const jpeg = await encodeJpeg(frame, VIDEO.width, VIDEO.height);
  const path = join(work, "camera.mjpeg");
  writeFileSync(path, Buffer.concat(Array.from({ length: 10 }, () => jpeg)));
  return path;
}

const isPackThere = existsSync(PACK_FILES);
const note = isPackThere ? "" : ` (not tested: there is no ${PACK_FILES})`;
const browser = isPackThere
  ? await openBrowser([
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-video-capture=${await film(1)}`,
    ])
  : undefined;

const VIEWPORTS: Record<string, BrowserContextOptions> = {
  "phone 390": {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
  },
  "desk 1280": { viewport: { width: 1280, height: 900 } },
  "screen 1920": { viewport: { width: 1920, height: 1080 } },
};
const SCHEMES = ["light", "dark"] as const;

let running: RunningApp;
let client: GalleryClient;

/** What is asked of the page itself; written as text, since it runs in the browser. */
const SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
const SHIFTS = `new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) sum += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})`;

interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** Everything that was loaded from elsewhere, and every error. */
  readonly faults: string[];
}

async function opened(
  hash: string,
  options: BrowserContextOptions = {},
  base = running.url,
): Promise<Opened> {
  const context = await browser!.newContext({ locale: "en-GB", ...VIEWPORTS["desk 1280"], ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !/^(blob|data):/.test(request.url())) faults.push(request.url());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // Refusals that the page shows are logged by the browser as well.
    const isRefusal = /status of (401|4\d\d)/.test(message.text());
    if (message.type() === "error" && !isRefusal) faults.push(message.text());
  });
  await page.goto(`${base}#${hash}`);
  await page.waitForSelector("h1, dialog h2");
  return { page, faults, [Symbol.asyncDispose]: () => context.close() };
}

async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const results = (await page.evaluate("axe.run(document)")) as AxeResults;
  expect(results.passes.length).toBeGreaterThan(10);
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}

async function good({ page, faults }: Opened, name: string, fullPage = true): Promise<void> {
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage });
  expect(await page.evaluate(SIDEWAYS), `${name} sticks out`).toBe(0);
  expect(await barriers(page), name).toEqual([]);
  expect(faults, name).toEqual([]);
}

const fileInput = (page: Page, index = 0) => page.locator("input[type=file]").nth(index);

async function compareTwo(page: Page, first: string, second: string): Promise<void> {
  await fileInput(page, 0).setInputFiles(first);
  await fileInput(page, 1).setInputFiles(second);
  await page.waitForSelector(".verdict");
}

describe("the page's languages", () => {
  it("have the same places in each text", () => {
    const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).toSorted();
    for (const word of Object.keys(WORDS.en) as Word[]) {
      for (const language of ["de", "fr"] as const) {
        expect(places(WORDS[language][word]), `${language} ${word}`).toEqual(places(WORDS.en[word]));
      }
    }
  });
});

describe.skipIf(browser === undefined)(`the page${note}`, () => {
  beforeAll(async () => {
    mkdirSync(PICTURES, { recursive: true });
    execFileSync(process.execPath, ["--import", "tsx", "scripts/web.ts"], { cwd: ROOT });
    process.env.FACEID_MODELS_DIR = join(work, "models");
    await models.add(PACK, { from: PACK_FILES });
    const report = join(work, "report.html");
    writeFileSync(
      report,
      "<!doctype html><title>Report of the model</title><style>h1 { color: red }</style><h1>Figures</h1>",
    );
    running = await app({ gallery: join(work, "gallery"), port: 0, report });
    client = new GalleryClient({ url: running.url, gallery: "people" });
    for (const [identity, name] of [
      [1, "Ada Marsh"],
      [5, "Ben Okafor"],
    ] as const) {
      const { id } = await client.addPerson({ name });
      await client.addFace(id, readFileSync(await photo(identity, 0)), {
        keepPhoto: true,
        source: "drawn.png",
      });
    }
  });
  afterAll(async () => {
    await browser?.close();
    await running?.close();
    rmSync(work, { recursive: true, force: true });
  });

  describe.each(Object.entries(VIEWPORTS))("%s", (size, options) => {
    it.each(SCHEMES)("is good to see and to use: %s", async (colorScheme) => {
      const name = (view: string) => `app-${view}-${size.split(" ")[1]}-${colorScheme}`;
      await using empty = await opened("compare", { ...options, colorScheme });
      await good(empty, name("compare-empty"));
      await using shown = await opened("compare", { ...options, colorScheme });
      const { page } = shown;
      await compareTwo(page, await photo(4, 0), await photo(4, 1));
      expect(await page.locator(".verdict h2").textContent()).toBe("Probably the same person");
      expect(await page.locator(".mark").count()).toBe(2);
      expect(await page.locator(".point").count()).toBe(10);
      expect(await page.locator(".crop").count()).toBe(2);
      // Before any screenshot, which changes the size of the window.
      expect(await page.evaluate(SHIFTS)).toBeLessThan(0.05);
      await good(shown, name("compare"));
      await page.goto(`${running.url}#people`);
      await page.waitForSelector(".person");
      await good(shown, name("people"));
      await page.locator(".person").first().click();
      await page.waitForSelector("dialog[open] .thumb img");
      await good(shown, name("person"), false);
      await page.keyboard.press("Escape");
      await page.goto(`${running.url}#who`);
      await fileInput(page).setInputFiles(await photo(1, 1));
      await page.waitForSelector(".found");
      expect(await page.locator(".mark span").textContent()).toBe("Ada Marsh");
      await good(shown, name("who"));
      await page.goto(`${running.url}#model`);
      await page.waitForSelector(".chart");
      await good(shown, name("model"));
    });

    it.each(SCHEMES)("is good to see in German and French: %s", async (colorScheme) => {
      for (const locale of ["de", "fr"]) {
        const name = (view: string) => `app-${view}-${size.split(" ")[1]}-${colorScheme}-${locale}`;
        await using shown = await opened("compare", { ...options, colorScheme, locale });
        const { page } = shown;
        await compareTwo(page, await photo(1, 0), await photo(2, 1));
        await good(shown, name("compare"));
        await page.goto(`${running.url}#people`);
        await page.locator(".person").first().click();
        await page.waitForSelector("dialog[open] .thumb img");
        await good(shown, name("person"), false);
        await page.keyboard.press("Escape");
        await good(shown, name("people"));
        await page.goto(`${running.url}#who`);
        await fileInput(page).setInputFiles(await photo(1, 1));
        await page.waitForSelector(".found");
        await good(shown, name("who"));
        await page.goto(`${running.url}#model`);
        await page.waitForSelector(".chart");
        await good(shown, name("model"));
      }
    });
  });

  it("says what a comparison means, and warns of what is wrong", async () => {
    await using shown = await opened("compare");
    const { page } = shown;
    await compareTwo(page, await photo(1, 0), await photo(2, 1));
    expect(await page.locator(".verdict h2").textContent()).toBe("Probably different people");
    expect(await page.locator(".meaning").textContent()).toMatch(
      /about 1 of 1,000 pairs of different people .* 0\.92 to 1\.1/,
    );
    const threshold = await page.locator("span.tick").textContent();
    await page.locator(".options select").selectOption("10000");
    await page.locator("span.tick", { hasNotText: threshold! }).waitFor();
    await fileInput(page, 1).setInputFiles({
      name: "grey.png",
      mimeType: "image/png",
      buffer: Buffer.from(await encodePng(new Uint8Array(64 * 64 * 3).fill(99), 64, 64)),
    });
    await page.waitForSelector(".photo:nth-child(2) .problem:not(:empty)");
    expect(await page.locator(".photo .problem").allTextContents()).toEqual([
      "",
      expect.stringMatching(/^No face was found/),
    ]);
    await fileInput(page, 0).setInputFiles({
      name: "a.png",
      mimeType: "image/png",
      buffer: Buffer.from("no image"),
    });
    await page.waitForSelector(".photo:first-child .problem:not(:empty)");
    await good(shown, "app-compare-problem");
  });

  it("opens the report page of the model, with its own style", async () => {
    await using shown = await opened("model");
    const opening = shown.page.waitForEvent("popup");
    await shown.page.getByRole("link", { name: "Open the report" }).click();
    const report = await opening;
    await report.waitForSelector("h1");
    expect(await report.title()).toBe("Report of the model");
    expect(await report.evaluate("getComputedStyle(document.querySelector('h1')).color")).toBe(
      "rgb(255, 0, 0)",
    );
    expect(shown.faults).toEqual([]);
  });

  it("takes photographs by paste and by drop", async () => {
    await using shown = await opened("compare");
    const { page } = shown;
    const give = async (kind: "paste" | "drop", path: string) => {
      const b64 = readFileSync(path).toString("base64");
      await page.evaluate(`(async () => {
        const blob = await (await fetch("data:image/png;base64,${b64}").catch(() => undefined))?.blob();
        const bytes = Uint8Array.from(atob("${b64}"), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([blob ?? bytes], "p.png", { type: "image/png" }));
        const target = ${kind === "paste" ? "document" : 'document.querySelector(".photo:nth-child(2)")'};
        target.dispatchEvent(${
          kind === "paste"
            ? 'new ClipboardEvent("paste", { clipboardData: data, bubbles: true })'
            : 'new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })'
        });
      })()`);
    };
    await give("paste", await photo(4, 0));
    await page.waitForSelector(".photo:nth-child(1) canvas");
    await give("drop", await photo(4, 1));
    await page.waitForSelector(".verdict");
  });

  it("takes photographs by the camera, and names who is before it", async () => {
    await using shown = await opened("who");
    const { page } = shown;
    await page.getByRole("button", { name: "Live camera" }).click();
    await page.waitForSelector(".mark span");
    expect(await page.locator(".mark span").textContent()).toBe("Ada Marsh");
    expect(await page.locator(".stage video").count()).toBe(1);
    await good(shown, "app-who-live");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Camera", exact: true }).click();
    await page.waitForSelector("dialog video");
    expect(await barriers(page)).toEqual([]);
    await page.getByRole("button", { name: "Take photograph" }).click();
    await page.waitForSelector(".frame canvas");
    await page.waitForSelector(".found");
  });

  it("says that nobody enrolled is on a photograph, and that there is no face", async () => {
    await using shown = await opened("who");
    const { page } = shown;
    await page.locator(".options select").selectOption("10000");
    await fileInput(page).setInputFiles(await photo(2, 1));
    await page.waitForSelector(".found");
    expect(await page.locator(".found h3").textContent()).toBe("Nobody enrolled");
    expect(await page.locator(".mark span").textContent()).toBe("Nobody enrolled");
    await good(shown, "app-who-stranger");
    await fileInput(page).setInputFiles({
      name: "grey.png",
      mimeType: "image/png",
      buffer: Buffer.from(await encodePng(new Uint8Array(64 * 64 * 3).fill(99), 64, 64)),
    });
    await page.locator(".result h2", { hasText: "No face was found" }).waitFor();
  });

  it("says of each photograph that cannot be compared what is wrong with it", async () => {
    await using shown = await opened("compare");
    const { page } = shown;
    const grey = Buffer.from(await encodePng(new Uint8Array(64 * 64 * 3).fill(99), 64, 64));
    const file = (name: string, buffer: Buffer) => ({ name, mimeType: "image/png", buffer });
    await fileInput(page, 0).setInputFiles(file("grey.png", grey));
    await fileInput(page, 1).setInputFiles(file("none.png", Buffer.from("no image")));
    await page.locator(".problem", { hasText: WORDS.en["error.IMAGE_UNREADABLE"] }).waitFor();
    expect((await page.locator(".problem").allTextContents()).slice(0, 2)).toEqual([
      WORDS.en["error.FACE_NOT_FOUND"],
      WORDS.en["error.IMAGE_UNREADABLE"],
    ]);
    await good(shown, "app-compare-problems");
  });

  it("says that nobody is enrolled in an empty gallery", async () => {
    await using empty = await app({ gallery: join(work, "empty"), port: 0 });
    await using shown = await opened("who", {}, empty.url);
    const { page } = shown;
    await fileInput(page).setInputFiles(await photo(2, 1));
    await page.locator(".result h2", { hasText: WORDS.en.nobody }).waitFor();
    expect(await page.locator(".found").count()).toBe(0);
    await good(shown, "app-who-empty");
  });

  it("enrols, renames, merges and deletes people, by keyboard too, and shows HTML as text", async () => {
    await using shown = await opened("people");
    const { page } = shown;
    const html = `<img src=x onerror="document.title='broken in'">`;
    await page.getByRole("button", { name: "Add a person" }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Name", { exact: true }).fill(html);
    await page.getByLabel("How did the person agree?").fill("signed form");
    await page.locator("dialog input[type=file]").setInputFiles([await photo(2, 0), await photo(2, 1)]);
    await good(shown, "app-add-person", false);
    await page.keyboard.press("Tab");
    await page.getByRole("button", { name: "Enrol" }).press("Enter");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.getByRole("button", { name: html }).click();
    expect(await page.locator("dialog h2").textContent()).toBe(html);
    expect(await page.locator("dialog").textContent()).toContain("2 faces");
    await page.getByLabel("Name", { exact: true }).fill("Cleo");
    await page.getByRole("button", { name: "Rename" }).click();
    await page.locator("dialog h2", { hasText: /^Cleo$/ }).waitFor();
    expect(await page.title()).toBe("People – faceid");
    const into = page.getByLabel("Merge into another person");
    await into.fill("okaf");
    await page.waitForSelector("datalist option[value='Ben Okafor']", { state: "attached" });
    await into.fill("Ben Okafor");
    await page.getByRole("button", { name: "Merge" }).click();
    await page.waitForSelector("dialog", { state: "detached" });
    const { person } = await client.person("Ben Okafor");
    expect(person.faces).toBe(3);
    await page.locator(".person", { hasText: "Ben Okafor" }).click();
    await page.getByRole("button", { name: "Delete this person" }).click();
    expect(await page.getByRole("alertdialog").textContent()).toContain("Delete Ben Okafor with all faces");
    await page.keyboard.press("Enter");
    expect((await client.person("Ben Okafor")).person.id).toBe(person.id);
    await page.getByRole("button", { name: "Delete this person" }).click();
    await good(shown, "app-question", false);
    await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
    await page.waitForSelector("dialog", { state: "detached" });
    await expect(client.person("Ben Okafor")).rejects.toMatchObject({ serverCode: "PERSON_NOT_FOUND" });
    await page.getByLabel("Search by name").fill("zzz");
    await page.waitForSelector(".none");
    expect(await page.locator(".none").textContent()).toContain("zzz");
  });

  it("moves the threshold by keyboard", async () => {
    await using shown = await opened("model");
    const { page } = shown;
    const rates = async () => await page.locator(".rate strong").allTextContents();
    const { format } = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 2 });
    // False accepts, and false rejects as they were measured at that threshold.
    const { operatingPoints } = OPENCV_SFACE_CALIBRATION.calibration;
    const expected = operatingPoints.map(({ far, measuredTar }) => [
      format(far),
      format(1 - measuredTar.value),
    ]);
    expect(await rates()).toEqual(expected[2]);
    await page.getByRole("slider").focus();
    await page.keyboard.press("Home");
    expect(await rates()).toEqual(expected[0]);
    expect(await page.getByRole("slider").getAttribute("aria-valuetext")).toContain("False accepts 10%");
  });

  it("is pictured in the README, with drawn people", async () => {
    await using shown = await opened("compare", { viewport: { width: 980, height: 1180 } });
    const { page } = shown;
    await compareTwo(page, await photo(4, 0), await photo(4, 1));
    const path = join(PICTURES, "readme.png");
    await page.screenshot({ path });
    expect(statSync(path).size).toBeGreaterThan(10_000);
  });

  it.each([
    ["de", "Zeigen zwei Fotos dieselbe Person?", "Wahrscheinlich dieselbe Person"],
    ["fr", "Deux photos montrent\u2011elles la même personne\u00a0?", "Probablement la même personne"],
  ])("speaks %s, by the browser or by choice", async (language, title, verdict) => {
    await using own = await opened("compare", { locale: language });
    expect(await own.page.locator("h1").textContent()).toBe(title);
    await using shown = await opened("compare", VIEWPORTS["phone 390"]);
    const { page } = shown;
    await page.getByLabel("Language").selectOption(language);
    expect(await page.locator("h1").textContent()).toBe(title);
    expect(await page.evaluate("document.documentElement.lang")).toBe(language);
    await compareTwo(page, await photo(4, 0), await photo(4, 1));
    expect(await page.locator(".verdict h2").textContent()).toBe(verdict);
    await good(shown, `app-compare-${language}`);
    for (const [view, selector] of [
      ["people", ".person"],
      ["who", ".stage"],
      ["model", ".chart"],
    ] as const) {
      await page.goto(`${running.url}#${view}`);
      await page.waitForSelector(selector);
      await good(shown, `app-${view}-${language}`);
    }
    await page.goto(`${running.url}#compare`);
    await page.reload();
    expect(await page.locator("h1").textContent()).toBe(title);
  });

  it("asks for a key where the server wants one", async () => {
    const keys = join(work, "keys.json");
    const { key, token } = newKey({ name: "page", scopes: ["predict", "read", "identify"] }, new Date());
    writeFileSync(keys, writeKeys([key]));
    await using locked = await serve({
      pack: PACK,
      page: true,
      apiKeysFile: keys,
      bindAddress: "127.0.0.1",
      restPort: 0,
      grpcPort: false,
    });
    const base = `http://127.0.0.1:${locked.restPort}/`;
    await using shown = await opened("model", {}, base);
    const { page } = shown;
    await page.getByLabel("API key").fill("fid_wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog .problem:not(:empty)");
    await good(shown, "app-key", false);
    await page.getByLabel("API key").fill(token);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".chart");
    await page.goto(`${base}#compare`);
    await compareTwo(page, await photo(4, 0), await photo(4, 1));
    await page.goto(`${base}#people`);
    expect(await page.locator(".card").textContent()).toContain("--gallery");
  });
});
