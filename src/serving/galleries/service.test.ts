/** @file When a server looks whether its galleries' searches need an index: for each gallery by its own enrolments. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { galleryOfRejectedIndex } from "../../../test/support/rejected-index.ts";
import { silentLog } from "../../base/log.ts";
import { Gallery } from "../../gallery/gallery.ts";
import type { Matcher } from "../../gallery/matching.ts";
import { ServerMetrics } from "../metrics.ts";
import type { PhotoThreads } from "../photos/photo-threads.ts";
import { loopbackAccess } from "./access.ts";
import { GalleryService, type ServedModel } from "./service.ts";

const model = { name: "m", digest: "a".repeat(64), dimensions: 4, template: "centroid" } as const;
let open: Map<string, Gallery>;
const warned: [message: string, fields: unknown][] = [];
let service: GalleryService;

beforeAll(async () => {
  open = new Map([
    ["staff", await Gallery.open(await temporaryFolder(), { create: model })],
    ["guests", await Gallery.open(await galleryOfRejectedIndex())],
  ]);
  service = new GalleryService(
    { open, matcher: {} as Matcher, model: {} as ServedModel, files: new Map() },
    {
      access: loopbackAccess,
      photos: {} as PhotoThreads,
      metrics: new ServerMetrics(),
      log: { ...silentLog, warn: (message, fields) => warned.push([message, fields]) },
    },
  );
});
afterAll(async () => {
  for (const each of open.values()) await each[Symbol.asyncDispose]();
});

it("counts the enrolments of each gallery, and looks after a thousand of one", async () => {
  const [staff, guests] = [...open.values()].map((gallery) => vi.spyOn(gallery, "index"));
  for (let i = 0; i < 999; i++) service.countEnrolled("staff");
  for (let i = 0; i < 999; i++) service.countEnrolled("guests");
  service.countEnrolled("nowhere");
  expect([staff, guests].map((spy) => spy!.mock.calls.length)).toEqual([0, 0]);
  service.countEnrolled("staff");
  expect([staff, guests].map((spy) => spy!.mock.calls.length)).toEqual([1, 0]);
  service.countEnrolled("guests");
  expect([staff, guests].map((spy) => spy!.mock.calls.length)).toEqual([1, 1]);
  await vi.waitFor(() => expect(warned).toHaveLength(1));
  expect(warned).toEqual([
    [
      "searches of a gallery compare with everybody: its index misses too many",
      { gallery: "guests", recall: 0.95, comparisons: 40 },
    ],
  ]);
});
