/** @file `faceid gallery list`, `show`, `rename`, `merge` and `remove`. */

import { Command } from "commander";
import { counted } from "../../../base/log.ts";
import type { Gallery } from "../../../gallery/gallery.ts";
import type { Person } from "../../../gallery/people.ts";
import type { GalleryEvent } from "../../../gallery/scope.ts";
import { addNumber } from "../../options.ts";
import { complain, shellWord } from "../../process.ts";
import { type GalleryFlags, print, withGallery, withPeople } from "./common.ts";

interface ListFlags extends GalleryFlags {
  readonly search?: string;
  readonly after?: string;
  readonly limit?: number;
}

const dayOf = (date: Date) => date.toISOString().slice(0, 10);

async function list(flags: ListFlags): Promise<void> {
  const people = await withGallery(flags, (gallery) => gallery.people.list(flags));
  const width = Math.max(...people.map(({ name }) => name.length), 0);
  print(flags, { people }, () =>
    people.length === 0
      ? "nobody is enrolled"
      : people.map(({ name, faces }) => `${name.padEnd(width)}  ${counted(faces, "face")}`).join("\n"),
  );
  const last = people.at(-1);
  if (flags.json !== true && last !== undefined && people.length === flags.limit) {
    complain(`there may be more people: --after ${shellWord(last.name)} lists the next ones`);
  }
}

function personText(
  person: Person,
  faces: Awaited<ReturnType<Gallery["faces"]["of"]>>,
  events: readonly GalleryEvent[],
): string {
  const { name, id, notes, consent, expiresAt, createdAt } = person;
  return [
    `${name}`,
    `  id       ${id}`,
    `  since    ${dayOf(createdAt)}`,
    `  consent  ${consent === null ? "not recorded" : `${consent.how}, ${consent.given}`}`,
    ...(expiresAt === null
      ? []
      : [
          `  expires  ${dayOf(expiresAt)}${expiresAt.getTime() <= Date.now() ? ", so no search finds the person" : ""}`,
        ]),
    ...(Object.keys(notes).length === 0 ? [] : [`  notes    ${JSON.stringify(notes)}`]),
    ...faces.map(
      ({ id: face, source, hasPhoto }) =>
        `  face     ${face}  ${source ?? ""}${hasPhoto ? "  photograph kept" : ""}`,
    ),
    ...eventLines(events),
  ].join("\n");
}

/** What happened, in order; what happened again and again on one day, as with each face of an enrolment, is one line. */
function eventLines(events: readonly GalleryEvent[]): string[] {
  const runs: { readonly text: string; times: number }[] = [];
  for (const { at, action, actor } of events) {
    const text = `  ${dayOf(at)}  ${action} by ${actor}`;
    const last = runs.at(-1);
    if (last?.text === text) last.times++;
    else runs.push({ text, times: 1 });
  }
  return runs.map(({ text, times }) => (times === 1 ? text : `${text}, ${counted(times, "time")}`));
}

async function show(who: string, flags: GalleryFlags): Promise<void> {
  const [person, faces, events] = await withPeople(flags, [who], async (gallery) => {
    const found = await gallery.people.get(who);
    return [found, await gallery.faces.of(found.id), await gallery.eventsOf(found.id)] as const;
  });
  print(flags, { ...person, faces, events }, () => personText(person, faces, events));
}

async function rename(who: string, name: string, flags: GalleryFlags): Promise<void> {
  const person = await withPeople(flags, [who], (gallery) => gallery.people.update(who, { name }));
  print(flags, person, () => `${who} is now ${person.name}`);
}

async function merge(from: string, into: string, flags: GalleryFlags): Promise<void> {
  const person = await withPeople(flags, [from, into], (gallery) => gallery.people.merge(from, into));
  print(flags, person, () => `${person.name} has the faces of both: ${counted(person.faces, "face")}`);
}

async function remove(who: string, flags: GalleryFlags): Promise<void> {
  const person = await withPeople(flags, [who], (gallery) => gallery.people.remove(who));
  print(flags, { removed: person }, () => `${person.name} and ${counted(person.faces, "face")} are removed`);
}

export function peopleCommands(): Command[] {
  const listCommand = new Command("list")
    .description("list the people, in the order of their names")
    .option("--search <text>", "only names that contain this text")
    .option("--after <name>", "only names after this one");
  addNumber(listCommand, { flag: "limit", help: "how many people", least: 1, most: 1000, fallback: 100 });
  const person = "a person's name or id";
  return [
    listCommand.action(list),
    new Command("show")
      .description("show a person, the faces, and what happened")
      .argument("<person>", person)
      .action(show),
    new Command("rename")
      .description("give a person another name")
      .argument("<person>", person)
      .argument("<name>", "the new name")
      .action(rename),
    new Command("merge")
      .description("move all faces of one person to another, and remove the first")
      .argument("<from>", person)
      .argument("<into>", person)
      .action(merge),
    new Command("remove")
      .description("remove a person with all faces and photographs")
      .argument("<person>", person)
      .action(remove),
  ];
}
