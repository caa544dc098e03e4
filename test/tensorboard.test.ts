/** @file Event files of a run, read back record by record; test/interop reads them with TensorBoard itself. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { tensorBoard } from "../src/jobs/tensorboard.ts";
import { resume, train } from "../src/jobs/train.ts";
import { EventSchema } from "../src/proto/tensorflow/event_pb.ts";
import { readRecords } from "../src/savedmodel/format/tfrecord.ts";
import { temporaryFolder, tinyConfig } from "./support/tiny-run.ts";

interface Told {
  readonly step: number;
  readonly tags: readonly string[];
}

function toldIn(folder: string): { versions: string[]; events: Told[] } {
  const events = readdirSync(folder)
    .toSorted()
    .flatMap((file) => readRecords(readFileSync(join(folder, file)), file))
    .map((record) => fromBinary(EventSchema, record));
  return {
    versions: events.flatMap(({ what }) => (what.case === "fileVersion" ? [what.value] : [])),
    events: events.flatMap(({ step, what }) =>
      what.case === "summary" ? [{ step: Number(step), tags: what.value.value.map(({ tag }) => tag) }] : [],
    ),
  };
}

it("tells every step and every epoch, across a resumed run", async () => {
  const [folder, board] = [temporaryFolder("board-run"), temporaryFolder("board")];
  let clock = 1_700_000_000;
  const listeners = () => {
    clock += 100;
    return [tensorBoard(board, () => clock)];
  };
  await train({ config: tinyConfig({ epochs: 1 }), folder, listeners: listeners() });
  await resume(folder, { epochs: 2, listeners: listeners() });
  expect(readdirSync(board).toSorted()).toEqual(["train", "validation"]);
  const training = toldIn(join(board, "train"));
  expect(training.versions).toEqual(["brain.Event:2", "brain.Event:2"]);
  const batch = ["batch_loss", "batch_accuracy", "learning_rate", "pairs_per_second"];
  const epoch = ["epoch_loss", "epoch_accuracy"];
  expect(training.events).toEqual([
    { step: 1, tags: batch },
    { step: 2, tags: batch },
    { step: 1, tags: epoch },
    { step: 3, tags: batch },
    { step: 4, tags: batch },
    { step: 2, tags: epoch },
  ]);
  expect(toldIn(join(board, "validation")).events).toEqual([
    { step: 1, tags: epoch },
    { step: 2, tags: epoch },
  ]);
});
