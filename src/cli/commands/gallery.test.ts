/** @file What the gallery's commands say: of an index that searches do without, and of a missing address. */
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
