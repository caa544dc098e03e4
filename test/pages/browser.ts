/** @file Chromium without a window, where the system has one. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** The browser, or undefined, with a line that says so, where there is none. @param more arguments of Chromium. */
export async function openBrowser(more: readonly string[] = []): Promise<Browser | undefined> {
  const executablePath = PLACES.find((path) => path !== undefined && existsSync(path));
  if (executablePath === undefined) {
    process.stderr.write("skipped: there is no Chromium here; install one or set CHROMIUM_PATH\n");
    return undefined;
  }
  // As root, as in containers, Chromium starts only without its own sandbox; it is shown nothing but our page.
  return await chromium.launch({ executablePath, args: ["--no-sandbox", ...more] });
}
