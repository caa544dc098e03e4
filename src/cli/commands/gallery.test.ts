/** @file What the gallery's commands say: of an index that searches do without, and of a missing address. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../../test/support/photos.ts";
import { galleryOfRejectedIndex } from "../../../test/support/rejected-index.ts";
import { Gallery } from "../../gallery/gallery.ts";
import { run } from "../main.ts";

const exitCode = process.exitCode;
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = exitCode;
});

/** What a command prints on either output, and its exit code. */
async function said(...args: readonly string[]) {
  const [out, err]: string[][] = [[], []];
  vi.spyOn(console, "log").mockImplementation((text) => out!.push(String(text)));
  vi.spyOn(console, "error").mockImplementation((text) => err!.push(String(text)));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => err!.push(String(text)) > 0);
  process.exitCode = undefined;
  await run(["node", "faceid", "gallery", ...args]);
  const exit = process.exitCode ?? 0;
  vi.restoreAllMocks();
  return { out: out!.join("\n"), err: err!.join("\n"), exit };
}

it("check says why searches do without an index that was built", async () => {
  const gallery = await galleryOfRejectedIndex();
  const { out, exit } = await said("check", "--gallery", gallery);
  expect(out.split("\n").at(-1)).toBe(
    "warning: searches compare with everybody: an index of 40 finds only 95.0 % (95 %: 93.0 to 97.0 %) of the people whom a comparison with everybody finds; for faster searches divide the people among several galleries (docs/scaling.md)",
  );
  expect(exit).toBe(0);
  const { out: json } = await said("check", "--gallery", gallery, "--json");
  expect(JSON.parse(json)).toMatchObject({ people: 40, index: { used: false, recall: 0.95 } });
  expect(JSON.parse(json)).not.toHaveProperty("recall");
});

it.each([["list"], ["check"], ["show", "Ann"]])(
  "%s without an address says what to pass",
  async (...args) => {
    vi.stubEnv("FACEID_GALLERY", undefined);
    const { err, exit } = await said(...args);
    expect(err).toContain("required option '--gallery <address>' not specified");
    expect(err).toContain(
      "  pass --gallery <address>: a folder, or postgres://user:password@host/database; or set FACEID_GALLERY\n",
    );
    expect(err).toMatch(new RegExp(`faceid gallery ${args[0]} --help lists its options`));
    expect(exit).toBe(2);
  },
);

it("add says that the name comes first where a photograph or folder stands there, and enrols nothing", async () => {
  const folder = await temporaryFolder();
  const [one, two, gallery] = ["1.jpg", "2.jpg", "gallery"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const photo of [one, two]) writeFileSync(photo, "x");
  mkdirSync(join(folder, "ann"));
  const add = (...args: string[]) => said("add", ...args, "--gallery", gallery);
  for (const [args, right] of [
    [[one, "Ann"], `Ann ${one}`],
    [[one, two, "Ann Lee"], `'Ann Lee' ${one} ${two}`],
    // As a shell writes *.jpg.
    [[one, two], `NAME ${one} ${two}`],
    [["gone.jpg", "Ann"], "Ann gone.jpg"],
    [[join(folder, "ann"), "Ann"], `Ann ${join(folder, "ann")}`],
  ] as const) {
    const { out, err, exit } = await add(...args);
    expect(err).toContain(`error: the person's name comes first: got ${JSON.stringify(args[0])}, which is a`);
    expect(`${err}\n`).toContain(`faceid gallery add --gallery ${gallery} ${right}\n`);
    expect([out, exit]).toEqual(["", 2]);
  }
  // A folder of the person's name may lie here.
  const gone = await add(join(folder, "ann"), join(folder, "ann/gone.jpg"));
  expect(gone.err).toContain(`cannot read ${join(folder, "ann/gone.jpg")}: no such file`);
  expect(gone.exit).toBe(3);
  const enrolled = await said("enrol", one, "--gallery", gallery);
  expect(enrolled.err).toContain(
    `error: ${one} is a photograph, a folder is wanted\n  enrol it with the person's name: `,
  );
  expect(enrolled.err).toMatch(new RegExp(`faceid gallery add --gallery ${gallery} NAME ${one}$`));
  expect(existsSync(gallery)).toBe(false);
});

it("show says once what happened again and again on a day", async () => {
  const folder = join(await temporaryFolder(), "people");
  const model = { name: "m", digest: "a".repeat(64), dimensions: 4, template: "centroid" } as const;
  {
    await using gallery = await Gallery.open(folder, { create: model, actor: "kim" });
    const { id } = await gallery.people.add("Ann");
    for (let i = 0; i < 3; i++) {
      const embedding = new Float32Array(4).fill(1, i, i + 1);
      await gallery.faces.add([{ personId: id, embedding, photoDigest: `${i}`.repeat(64) }]);
    }
    await gallery.people.update("Ann", { notes: { room: 4 } });
  }
  const { out } = await said("show", "Ann", "--gallery", folder);
  const events = out.split("\n").filter((line) => / by kim/.test(line));
  expect(events.map((line) => line.replace(/\d{4}-\d\d-\d\d/, "DAY"))).toEqual([
    "  DAY  enrolled by kim",
    "  DAY  added by kim, 3 times",
    "  DAY  changed by kim",
  ]);
  expect(out.match(/^ {2}face /gm)).toHaveLength(3);
});
