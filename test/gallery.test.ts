/** @file `faceid gallery` on photographs of LFW: enrolment, answers, errors, and moving to another folder. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodePixels, encodePng } from "../src/image/decode.ts";
import type { EnrolSummary } from "../src/index.ts";
import { plain, temporaryFolder } from "./support/photos.ts";

const SHARED = join(import.meta.dirname, "../../shared");
const PACK_FILES = join(SHARED, "models/opencv");
const LFW = join(SHARED, "datasets/lfw");
const isThere = existsSync(PACK_FILES) && existsSync(LFW);
const note = isThere ? "" : ` (not tested: there is no ${SHARED} with models/opencv and datasets/lfw)`;

const COMMAND = join(import.meta.dirname, "../bin/faceid.js");
const PEOPLE = ["Aaron_Peirsol", "Aaron_Sorkin", "Abdullah_Gul", "Serena_Williams"];
const photo = (name: string, number: number) =>
  join(LFW, name, `${name}_${String(number).padStart(4, "0")}.jpg`);

/** The fields of all answers. */
interface Answer {
  readonly leftOut: readonly { readonly error: { readonly code: string } }[];
  readonly resemblances: readonly object[];
  readonly photographs: readonly Pick<Answer, "faces">[];
  readonly faces: readonly {
    readonly box: readonly number[];
    readonly threshold: number;
    readonly candidates: readonly { readonly person: string; readonly similarity: number }[];
  }[];
  readonly people: readonly { readonly name: string }[];
}

describe.skipIf(!isThere)(`faceid gallery${note}`, () => {
  let work: string;
  let address: string;

  function faceid(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const env = {
      ...process.env,
      FACEID_MODELS_DIR: join(work, "packs"),
      FACEID_OFFLINE: "1",
      ...environment,
    };
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
      encoding: "utf8",
      env,
      cwd: work,
    });
    return { status, stdout, stderr };
  }
  const gallery = (...args: string[]) => faceid(["gallery", ...args, "--gallery", address]);
  const asked = (...args: string[]) => {
    const { status, stdout, stderr } = gallery(...args, "--json");
    return { status, stderr, answer: JSON.parse(stdout) as Answer };
  };

  beforeAll(async () => {
    work = await temporaryFolder();
    address = join(work, "people");
    faceid(["models", "add", "opencv-sface", "--from", PACK_FILES]);
    const folder = join(work, "album");
    for (const name of PEOPLE) {
      mkdirSync(join(folder, name), { recursive: true });
      cpSync(photo(name, 1), join(folder, name, "1.jpg"));
    }
    // One person under two names, a picture without a face, and a file that is no picture.
    mkdirSync(join(folder, "Second Name"));
    cpSync(photo("Aaron_Peirsol", 2), join(folder, "Second Name", "2.jpg"));
    writeFileSync(join(folder, "Aaron_Sorkin", "blank.png"), await encodePng(plain(64, [9, 9, 9]), 64, 64));
    writeFileSync(join(folder, "Aaron_Sorkin", "no.jpg"), "no picture");
    const { status, stderr } = gallery("enrol", folder);
    expect(stderr).toContain("no face was found");
    expect(status).toBe(0);
  });

  it("goes on with what is not enrolled yet, and reports what was left out and who looks like whom", () => {
    cpSync(photo("Aaron_Sorkin", 2), join(work, "album/Aaron_Sorkin/2.jpg"));
    cpSync(photo("Aaron_Peirsol", 3), join(work, "album/Second Name/3.jpg"));
    const { status, answer } = asked("enrol", join(work, "album"));
    expect(status).toBe(0);
    expect(answer).toMatchObject({ people: 5, enrolled: 2, known: 5 });
    expect(answer.leftOut.map(({ error }) => error.code).toSorted()).toEqual([
      "FACE_NOT_FOUND",
      "IMAGE_UNREADABLE",
    ]);
    expect(answer.resemblances).toMatchObject([
      { person: "Second Name", resembles: { person: "Aaron_Peirsol" } },
    ]);
  });

  it("names an enrolled person, and nobody for a stranger", () => {
    const known = asked("identify", photo("Serena_Williams", 2)).answer.faces;
    expect(known[0]).toMatchObject({ match: true, fpir: { estimate: 0.01 }, extrapolated: false });
    expect(known[0]!.candidates[0]!.person).toBe("Serena_Williams");
    expect(known[0]!.box).toHaveLength(4);
    const stranger = asked("identify", photo("Abba_Eban", 1)).answer.faces;
    expect(stranger[0]).toMatchObject({ match: false });
    expect(stranger[0]!.candidates).toHaveLength(5);
    const text = gallery("identify", photo("Abba_Eban", 1));
    expect(text.stdout).toContain("nobody enrolled");
  });

  it("says of an empty gallery that nobody is enrolled, and names no threshold", () => {
    const empty = ["--gallery", join(work, "empty")];
    const where = `gallery default in ${empty[1]}, for the model opencv-sface`;
    const create = (...args: string[]) => faceid(["gallery", "create", ...empty, ...args]);
    expect(create()).toMatchObject({ status: 0, stdout: `made the ${where}\n` });
    const again = `there was a ${where}: 0 people, 0 faces; it is as it was\n`;
    expect(create()).toMatchObject({ status: 0, stdout: again });
    expect(JSON.parse(create("--json").stdout)).toMatchObject({ isNew: false });
    const text = faceid(["gallery", "identify", photo("Abba_Eban", 1), ...empty]);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/^face 1 at [^\n]+: not compared\n/);
    expect(text.stdout).toContain("nobody is enrolled");
    expect(text.stdout).not.toContain("threshold");
    const { stdout } = faceid(["gallery", "identify", photo("Abba_Eban", 1), ...empty, "--json"]);
    const face = (JSON.parse(stdout) as Answer).faces[0]!;
    expect(face).toMatchObject({ match: false, candidates: [], comparisons: 0 });
    expect(Object.keys(face)).not.toContain("threshold");
  });

  it("answers several photographs each by itself", () => {
    const [known, none, stranger] = [
      photo("Serena_Williams", 2),
      join(work, "album/Aaron_Sorkin/no.jpg"),
      photo("Abba_Eban", 1),
    ];
    const { status, answer } = asked("identify", known, none, stranger);
    expect(status).toBe(3);
    expect(answer.photographs).toMatchObject([
      { image: known, faces: [{ match: true }] },
      { image: none, error: { code: "IMAGE_UNREADABLE" } },
      { image: stranger, faces: [{ match: false }] },
    ]);
    const alone = asked("identify", known).answer;
    expect(Object.keys(alone)).toEqual(["faces"]);
    expect(answer.photographs[0]!.faces).toEqual(alone.faces);
    const text = gallery("identify", known, stranger);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/Serena_Williams_0002\.jpg\nface 1 .*Serena_Williams\n/);
    expect(text.stdout).toMatch(/Abba_Eban_0001\.jpg\nface 1 .*nobody enrolled\n/);
    expect(text.stdout).toMatch(/\n\n2 photographs with \d faces, 1 named\n$/);
    expect(gallery("identify", known, none).stdout).toMatch(
      /\n\n1 photograph with \d faces?, 1 named; 1 file could not be read\n$/,
    );
  });

  it("takes all photographs of a folder, and says which photograph has no face", () => {
    const folder = join(work, "album/Aaron_Sorkin");
    const { status, answer } = asked("identify", folder);
    expect(status).toBe(3);
    expect(answer.photographs).toMatchObject([
      { image: join(folder, "1.jpg"), faces: [{ match: true, matches: 1 }] },
      { image: join(folder, "2.jpg"), faces: [{ match: true, matches: 1 }] },
      { image: join(folder, "blank.png"), faces: [] },
      { image: join(folder, "no.jpg"), error: { code: "IMAGE_UNREADABLE" } },
    ]);
    const blank = gallery("identify", join(folder, "blank.png"));
    expect(blank.stdout).toMatch(/no face was found in \S+blank\.png; use a photograph/);
  });

  it("says that several people reach the threshold, and how many are listed changes nothing", () => {
    const [all, one] = [[], ["--candidates", "1"]].map(
      (flags) => asked("identify", photo("Aaron_Peirsol", 4), ...flags).answer.faces[0]!,
    );
    expect(all).toMatchObject({ match: true, matches: 2 });
    expect(one).toMatchObject({ match: true, matches: 2, candidates: [all!.candidates[0]] });
    expect(gallery("identify", photo("Aaron_Peirsol", 4)).stdout).toContain(
      "warning: 2 people reach the threshold",
    );
    expect(gallery("identify", photo("Serena_Williams", 2)).stdout).not.toContain("people reach");
  });

  it("says which of several faces it has added, and what makes it doubtful", async () => {
    const [left, right] = await Promise.all(
      [photo("Aaron_Sorkin", 1), photo("Serena_Williams", 1)].map((path) => decodePixels(path)),
    );
    const { width, height } = left!;
    const both = new Uint8Array(2 * width * height * 3);
    for (let row = 0; row < height; row++) {
      const line = (data: Uint8Array) => data.subarray(3 * width * row, 3 * width * (row + 1));
      both.set(line(left!.data), 6 * width * row);
      both.set(line(right!.data), 6 * width * row + 3 * width);
    }
    const path = join(work, "both.png");
    writeFileSync(path, await encodePng(both, 2 * width, height));
    const into = ["--gallery", join(work, "several")];
    const text = faceid(["gallery", "add", "Somebody", path, ...into]);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(
      /both\.png: of 2 faces, the one at \d+,\d+ of \d+x\d+ pixels was enrolled; --face chooses/,
    );
    expect(text.stdout).toMatch(/warning: \S+both\.png: 2 faces of about the same size/);
    const { stdout } = faceid(["gallery", "add", "Another", path, ...into, "--json"]);
    const answer = JSON.parse(stdout) as Pick<EnrolSummary, "doubtful">;
    expect(answer.doubtful).toMatchObject([{ image: path, person: "Another", faces: 2 }]);
    expect(answer.doubtful[0]!.warnings).toHaveLength(1);
    const sure = faceid(["gallery", "add", "Aaron", photo("Aaron_Peirsol", 1), ...into]);
    expect(sure.stdout).not.toMatch(/warning|faces/);
  });

  it("asks for a higher threshold where fewer strangers may be named", () => {
    const thresholds = ["0.1", "0.01", "0.0001"].map((fpir) => {
      const { answer } = asked("identify", photo("Abba_Eban", 1), "--fpir", fpir);
      return answer.faces[0]!.threshold;
    });
    expect(thresholds).toEqual(thresholds.toSorted((a, b) => a - b));
    expect(new Set(thresholds).size).toBe(3);
  });

  it("moves to another folder by a file, and gives the same answers there", () => {
    const file = join(work, "people.jsonl");
    expect(gallery("export", "--output", file).status).toBe(0);
    expect(gallery("export", "--output", file)).toMatchObject({ status: 2 });
    const other = join(work, "moved");
    expect(faceid(["gallery", "import", file, "--gallery", other]).status).toBe(0);
    const [here, there] = [address, other].map(
      (each) =>
        faceid(["gallery", "identify", photo("Serena_Williams", 2), "--gallery", each, "--json"]).stdout,
    );
    const namesOf = (text: string) =>
      (
        JSON.parse(text) as { faces: { candidates: { person: string; similarity: number }[] }[] }
      ).faces[0]!.candidates.map(({ person, similarity }) => `${person} ${similarity.toFixed(5)}`);
    expect(namesOf(there!)).toEqual(namesOf(here!));
    writeFileSync(file, "something else\n");
    expect(faceid(["gallery", "import", file, "--gallery", join(work, "none")])).toMatchObject({ status: 3 });
    expect(readdirSync(work)).not.toContain("none");
  });

  it("keeps photographs encrypted, and embeds them again by another model", async () => {
    const kept = join(work, "kept");
    const environment = { FACEID_GALLERY_KEY: "ab".repeat(32) };
    const add = faceid(
      ["gallery", "add", "Aaron", photo("Aaron_Peirsol", 1), "--keep-photos", "--gallery", kept],
      environment,
    );
    expect(add).toMatchObject({ status: 0 });
    const missing = faceid(["gallery", "export", "--output", join(work, "x.jsonl"), "--gallery", kept]);
    expect(missing).toMatchObject({ status: 2 });
    expect(missing.stderr).toContain("FACEID_GALLERY_KEY");
    expect(existsSync(join(work, "x.jsonl"))).toBe(false);
    const { stdout } = faceid(["gallery", "reindex", "--gallery", kept, "--json"], environment);
    expect(JSON.parse(stdout)).toEqual({ embedded: 0, withoutPhoto: 0, withoutFace: 0 });
    faceid(
      ["gallery", "export", "--output", join(work, "x.jsonl"), "--person", "Aaron", "--gallery", kept],
      environment,
    );
    const lines = readFileSync(join(work, "x.jsonl"), "utf8").trim().split("\n");
    const person = JSON.parse(lines[1]!) as { faces: { photo: string }[]; events: { action: string }[] };
    expect(Buffer.from(person.faces[0]!.photo, "base64")).toEqual(readFileSync(photo("Aaron_Peirsol", 1)));
    expect(person.events.map(({ action }) => action)).toEqual(["enrolled", "added"]);
  });

  it("changes, merges and removes people", () => {
    expect(gallery("rename", "Abdullah_Gul", "Abdullah Gül").status).toBe(0);
    expect(gallery("merge", "Second Name", "Aaron_Peirsol").stdout).toContain(
      "Aaron_Peirsol has the faces of both",
    );
    expect(gallery("remove", "Abdullah Gül").stdout).toContain("are removed");
    const people = asked("list").answer.people;
    expect(people.map(({ name }) => name)).toEqual(["Aaron_Peirsol", "Aaron_Sorkin", "Serena_Williams"]);
    expect(gallery("show", "Nobody")).toMatchObject({ status: 13 });
    for (const args of [["remove"], ["show"], ["merge", "Aaron_Sorkin"]]) {
      const { status, stderr } = gallery(...args, "Serena_Wiliams");
      expect(status).toBe(13);
      expect(stderr).toContain('"Serena_Wiliams" in the gallery, did you mean Serena_Williams?');
    }
    expect(gallery("show", "Aaron_Sorkin").stdout).toContain("consent  not recorded");
    expect(gallery("check").stdout).toContain("3 people");
  });

  it("refuses what it cannot answer", () => {
    expect(gallery("identify", photo("Abba_Eban", 1), "--fpir", "0").status).toBe(2);
    expect(gallery("identify", join(work, "no such.jpg")).status).toBe(3);
    expect(faceid(["gallery", "list", "--gallery", join(work, "nowhere")])).toMatchObject({ status: 13 });
    expect(faceid(["gallery", "list"]).status).toBe(2);
    expect(faceid(["gallery", "create", "--gallery", "postgress://a:b@c/d"])).toMatchObject({ status: 2 });
    expect(existsSync(join(work, "postgress:"))).toBe(false);
    expect(existsSync(join(work, "nowhere"))).toBe(false);
  });
});
