/** @file `faceid gallery export`, `import`, `check` and `reindex`. */

import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import { FaceError } from "../../../base/errors.ts";
import { writeError } from "../../../base/files.ts";
import { counted, countText } from "../../../base/log.ts";
import type { Gallery } from "../../../gallery/gallery.ts";
import { type ExportSummary, exportLines } from "../../../gallery/gallery-file.ts";
import { reindexGallery } from "../../../jobs/gallery.ts";
import { importGallery } from "../../../jobs/gallery-import.ts";
import { commandText } from "../../process.ts";
import {
  AFTER_PHOTOGRAPH,
  continuing,
  type GalleryFlags,
  indexText,
  jobContext,
  print,
  unusedIndexLines,
  withGallery,
  withPeople,
} from "./common.ts";

interface ExportFlags extends GalleryFlags {
  readonly output: string;
  readonly person?: string;
}

/** Writes lines beside the file and renames them into place, so that a stopped export leaves no half. */
async function writeLines(
  path: string,
  lines: AsyncGenerator<string, ExportSummary>,
): Promise<ExportSummary> {
  const temporary = `${path}.${process.pid}.tmp`;
  let summary: ExportSummary | undefined;
  async function* text() {
    for (let next = await lines.next(); ; next = await lines.next()) {
      if (next.done === true) {
        summary = next.value;
        return;
      }
      yield `${next.value}\n`;
    }
  }
  try {
    await pipeline(text, createWriteStream(temporary, { mode: 0o600 }));
    await rename(temporary, path);
    return summary!;
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(path, error);
  }
}

const contentText = ({ people, faces }: ExportSummary) =>
  `${counted(people, "person", "people")} with ${counted(faces, "face")}`;

async function exportGallery({ output, person, ...flags }: ExportFlags): Promise<void> {
  if (existsSync(output)) {
    throw new FaceError("CONFIG_INVALID", `--output: ${output} exists already`, { hint: "name a new file" });
  }
  const work = (gallery: Gallery) => writeLines(output, exportLines(gallery, person));
  const counts = await withPeople(flags, person === undefined ? [] : [person], work);
  print(flags, { output, ...counts }, () => `${contentText(counts)} written to ${output}`);
}

async function importFile(file: string, flags: GalleryFlags): Promise<void> {
  using context = jobContext(flags);
  const { signal, onBuild } = context.options;
  const summary = await importGallery(flags.gallery, file, { name: flags.galleryName, signal, onBuild });
  context.line[Symbol.dispose]();
  const { people, added, changed, unchanged, faces } = summary;
  print(flags, summary, () =>
    [
      `${counted(people, "person", "people")} read: ${countText(added)} new, ${countText(changed)} with new faces, ${countText(unchanged)} unchanged; ${counted(faces, "face")} added`,
      ...unusedIndexLines(summary.index),
    ].join("\n"),
  );
}

async function check(flags: GalleryFlags): Promise<void> {
  const [health, model] = await withGallery(
    flags,
    async (gallery) => [await gallery.check(), gallery.model] as const,
  );
  print(flags, { ...health, model }, () =>
    [
      `${counted(health.people, "person", "people")}, ${counted(health.faces, "face")}, ${counted(health.photos, "photograph")} kept; model ${model.name}`,
      ...(health.withoutFaces === 0 ? [] : [`${health.withoutFaces} without a face: no search finds them`]),
      ...(health.expired === 0 ? [] : [`${health.expired} past the end of their consent: remove them`]),
      ...(health.stale === 0
        ? []
        : [
            `${countText(health.stale)} with embeddings of another model: no search finds them; ${commandText("gallery", "reindex")}`,
          ]),
      ...(health.index === undefined ? ["searches compare with every face"] : []),
      ...(health.index?.used ? [`searches use an index, which finds ${indexText(health.index)}`] : []),
      ...unusedIndexLines(health.index),
    ].join("\n"),
  );
}

async function reindex(flags: GalleryFlags): Promise<void> {
  using context = jobContext(flags, { goesOn: true, after: AFTER_PHOTOGRAPH });
  const summary = await continuing(() => reindexGallery(context.options));
  context.line[Symbol.dispose]();
  const { embedded, withoutPhoto, withoutFace } = summary;
  print(flags, summary, () =>
    [
      `${counted(embedded, "face")} embedded again`,
      ...(withoutPhoto === 0
        ? []
        : [`${countText(withoutPhoto)} without a kept photograph: enrol their photographs again`]),
      ...(withoutFace === 0 ? [] : [`${countText(withoutFace)} not found in their photographs any more`]),
      ...unusedIndexLines(summary.index),
    ].join("\n"),
  );
}

export function moveCommands(): Command[] {
  return [
    new Command("export")
      .description("write the people, faces and events as JSON lines")
      .requiredOption("--output <file>", "where to")
      .option("--person <person>", "only this person, by name or id")
      .action(exportGallery),
    new Command("import")
      .description("add the people of an exported file")
      .argument("<file>", "what faceid gallery export wrote")
      .action(importFile),
    new Command("check").description("count what needs attention, and measure the index").action(check),
    new Command("reindex")
      .description("make the embeddings by another model, from kept photographs")
      .option("--model <name|folder>", "the model (default opencv-sface)")
      .action(reindex),
  ];
}
