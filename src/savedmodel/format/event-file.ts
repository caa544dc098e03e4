/** @file Writes TensorBoard's event files: TFRecords of `tf.Event`. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Event } from "../../proto/tensorflow/event_pb.ts";
import { EventSchema, Summary_ValueSchema, SummarySchema } from "../../proto/tensorflow/event_pb.ts";
import { writeRecords } from "./tfrecord.ts";

/** Figures of one moment by name. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** The content of a file's first record, which names the format. */
const FILE_VERSION = "brain.Event:2";

/** A name that TensorBoard takes for an event file; files of one folder are read in the order of their names. */
export function eventFileName(wallTime: number, writer: string): string {
  const DIGITS = 10;
  return `events.out.tfevents.${String(Math.floor(wallTime)).padStart(DIGITS, "0")}.${writer}`;
}

const framed = (events: readonly Event[]) =>
  writeRecords(events.map((event) => toBinary(EventSchema, event)));

/** The beginning of a file. */
export function eventFileStart(wallTime: number): Uint8Array {
  return framed([create(EventSchema, { wallTime, what: { case: "fileVersion", value: FILE_VERSION } })]);
}

function summaryEvent({ wallTime, step, scalars }: ScalarEvent): Event {
  const value = Object.entries(scalars).map(([tag, simpleValue]) =>
    create(Summary_ValueSchema, { tag, value: { case: "simpleValue", value: simpleValue } }),
  );
  return create(EventSchema, {
    wallTime,
    step: BigInt(step),
    what: { case: "summary", value: create(SummarySchema, { value }) },
  });
}

/** Events as they are appended to a file. */
export function eventRecords(events: readonly ScalarEvent[]): Uint8Array {
  return framed(events.map(summaryEvent));
}
