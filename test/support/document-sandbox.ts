/** @file A folder in which the documents' commands can be typed as they stand, with small drawn data where real data would be. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const BIN = join(ROOT, "bin/faceid.js");

/** People of the drawn stand-in for Labeled Faces in the Wild; the documents name some of them. */
const PEOPLE = [
  "Aaron_Peirsol",
  "Zurab_Tsereteli",
  ...Array.from({ length: 18 }, (_, i) => `Drawn_Person_${i}`),
];
const PHOTOS = 4;

/** Appended to commands that would take minutes: later flags win, the command's own are still parsed. */
const SMALLER: readonly (readonly [command: RegExp, flags: string])[] = [
  [
    /^(?!.*--resume).*\bfaceid train\b/,
    "--epochs 1 --dataset-size 8 --batch-size 4 --validation-pairs 8 --validation-fraction 0.3 --test-fraction 0.3 --progress plain",
  ],
  [/\bfaceid (evaluate|report)\b(?!.*--pairs)/, "--test-pairs 20"],
  [/\bfaceid dataset synthesize\b/, "--identities 4 --images-per-identity 2"],
];

export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** Where one document's commands run, one after the other; a server that they start goes on until the next one, or the end. */
export class DocumentSandbox implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "faceid-documents-"));
  readonly #ports = new Map<string, number>();
  #variables: string[] = [];
  #server: ChildProcess | undefined;

  static async open(): Promise<DocumentSandbox> {
    const sandbox = new DocumentSandbox();
    for (const usual of ["8500", "8501"]) sandbox.#ports.set(usual, await freePort());
    await sandbox.#furnish();
    return sandbox;
  }

  /** Variables last for one block, as in a reader's copy of it. */
  beginBlock(): void {
    this.#variables = [];
  }

  /** Runs one line; a server is left running once it says that it listens. */
  async run(command: string): Promise<Outcome> {
    if (/^\w+=\S+$/.test(command)) {
      this.#variables.push(command);
      return { code: 0, output: "" };
    }
    const line = [...this.#variables, this.#fitted(command)].join("\n");
    if (!/\bfaceid serve\b/.test(command)) return this.#finish(line);
    await this.#stopServer();
    return this.#startServer(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopServer();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #home(): string {
    return join(this.#folder, "faceid");
  }

  /** The command with this sandbox's ports, and small. */
  #fitted(command: string): string {
    const flags = SMALLER.filter(([pattern]) => pattern.test(command)).map(([, added]) => added);
    if (/\bfaceid request\b/.test(command) && !/--(url|grpc)\b/.test(command))
      flags.push("--url http://localhost:8501");
    const pipe = command.search(/ [|>] /);
    const [head, tail] = pipe < 0 ? [command, ""] : [command.slice(0, pipe), command.slice(pipe)];
    const whole = [head, ...flags].join(" ") + tail;
    return [...this.#ports].reduce((text, [usual, own]) => text.replaceAll(usual, String(own)), whole);
  }

  #spawn(line: string): ChildProcess {
    const environment = {
      ...process.env,
      PATH: `${this.#home}/node_modules/.bin:${process.env.PATH}`,
      FACEID_CACHE_DIR: join(this.#folder, "cache"),
      FACEID_MODELS_DIR: join(this.#folder, "packs"),
    };
    return spawn("bash", ["-c", `set -eo pipefail\n${line}`], {
      cwd: this.#home,
      env: environment,
      detached: true,
    });
  }

  #finish(line: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const child = this.#spawn(line);
      let output = "";
      child.stdin!.end();
      child.stdout!.on("data", (data: Buffer) => (output += data));
      child.stderr!.on("data", (data: Buffer) => (output += data));
      child.once("close", (code) => resolve({ code, output }));
    });
  }

  #startServer(line: string): Promise<Outcome> {
    return new Promise((resolve) => {
      // With exec the signal reaches the server itself.
      const child = this.#spawn(line.replace(/(npx )?faceid serve/, "exec faceid serve"));
      let output = "";
      const look = (data: Buffer) => {
        output += data;
        if (output.includes("Exporting HTTP/REST API at")) resolve({ code: 0, output });
      };
      child.stdout!.on("data", look);
      child.stderr!.on("data", look);
      child.once("close", (code) => resolve({ code, output }));
      this.#server = child;
    });
  }

  async #stopServer(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined || server.exitCode !== null) return;
    const ended = new Promise<number | null>((resolve) => server.once("close", resolve));
    server.kill("SIGTERM");
    const code = await ended;
    if (code !== 0) throw new Error(`the server ended with code ${code}`);
  }

  async #draw(folder: string, people: number, photos: number): Promise<void> {
    const line = `faceid dataset synthesize --output ${folder} --identities ${people} --images-per-identity ${photos}`;
    const { code, output } = await this.#finish(line);
    if (code !== 0) throw new Error(`cannot draw photographs: ${output}`);
  }

  async #furnish(): Promise<void> {
    mkdirSync(join(this.#home, "node_modules/.bin"), { recursive: true });
    symlinkSync(BIN, join(this.#home, "node_modules/.bin/faceid"));
    for (const name of ["examples", "models"]) {
      const from = join(ROOT, name);
      if (existsSync(from)) cpSync(from, join(this.#home, name), { recursive: true });
    }
    const lfw = join(this.#folder, "shared/datasets/lfw");
    mkdirSync(join(this.#folder, "shared/datasets"), { recursive: true });
    await this.#draw(lfw, PEOPLE.length, PHOTOS);
    for (const number of readdirSync(lfw)) {
      const name = PEOPLE[Number(number)]!;
      const person = join(lfw, name);
      renameSync(join(lfw, number), person);
      for (let i = 0; i < PHOTOS; i++)
        renameSync(join(person, `${i}.png`), join(person, `${name}_000${i + 1}.jpg`));
    }
    writeFileSync(join(lfw, "pairs.txt"), pairsFile());
    cpSync(join(lfw, "pairs.txt"), join(this.#home, "pairs.txt"));
    for (const name of ["my-photos", "photos"])
      cpSync(lfw, join(this.#home, name), { recursive: true, filter: (path) => !path.endsWith(".txt") });
    for (const i of [1, 2])
      cpSync(join(lfw, `Aaron_Peirsol/Aaron_Peirsol_000${i}.jpg`), join(this.#home, `photo-${i}.jpg`));
  }
}

/** Ten folds of one pair of each kind, so that it runs as the official file does. */
function pairsFile(): string {
  const fold = (i: number) => [`${PEOPLE[2 * i]}\t1\t2`, `${PEOPLE[2 * i]}\t1\t${PEOPLE[2 * i + 1]}\t1`];
  return ["10\t1", ...Array.from({ length: 10 }, (_, i) => fold(i)).flat(), ""].join("\n");
}
