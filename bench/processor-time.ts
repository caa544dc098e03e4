/** @file Processor time of the server for one answer, from which docs/scaling.md computes replicas: `npm run bench -- processor-time` */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../src/base/random.ts";
import { encodeJpeg } from "../src/image/decode.ts";
import { writeFaceModel } from "../test/support/face-model.ts";
import { type ServerProcess, serve } from "../test/support/server-process.ts";
import { cpuSeconds } from "./process-usage.ts";

const NETWORKS = ["faceid", "mobilefacenet"];
const SIDE = 112;
/** Sides of the photographs that are sent as files, as in LFW. */
const PHOTO_SIDE = 250;
const CLIENTS = 4;
const REQUESTS_PER_CLIENT = 25;
const ROUNDS = 3;
/** An image with smooth and noisy parts, whose JPEG file is about as large as a photograph's. */
function photo(random: Random): Promise<Uint8Array> {
  const pixels = Uint8Array.from({ length: PHOTO_SIDE * PHOTO_SIDE * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % PHOTO_SIDE, Math.floor(i / (3 * PHOTO_SIDE))];
    return 128 + 80 * Math.sin(x / 23) * Math.cos(y / 31) + 12 * random.uniform();
  });
  return encodeJpeg(pixels, PHOTO_SIDE, PHOTO_SIDE);
}

/** Bodies of predict requests for one pair, by input format. */
async function requests(embeddingSize: number): Promise<Record<string, string>> {
  const random = new Random(1);
  const image = () =>
    Array.from({ length: SIDE }, () =>
      Array.from({ length: SIDE }, () =>
        Array.from({ length: 3 }, () => Math.round(random.uniform() * 255) / 255),
      ),
    );
  const file = async () => [{ b64: Buffer.from(await photo(random)).toString("base64") }];
  const embedding = () => [Array.from({ length: embeddingSize }, () => random.uniform())];
  const body = (signature_name: string, inputs: object) => JSON.stringify({ signature_name, inputs });
  return {
    "two files": body("verify_encoded", { anchor_bytes: await file(), verification_bytes: await file() }),
    "two images as numbers": body("serving_default", { anchor_img: [image()], verification_img: [image()] }),
    "two embeddings": body("compare", {
      anchor_embedding: embedding(),
      verification_embedding: embedding(),
    }),
  };
}

async function ask({ restPort }: ServerProcess, body: string): Promise<unknown> {
  const url = `http://127.0.0.1:${restPort}/v1/models/faceid:predict`;
  const answer = await fetch(url, { method: "POST", body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the server answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}

/** Milliseconds of processor time for each answer, per round. */
async function costs(server: ServerProcess, body: string): Promise<number[]> {
  const load = () =>
    Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (let i = 0; i < REQUESTS_PER_CLIENT; i++) await ask(server, body);
      }),
    );
  await ask(server, body);
  const found: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuSeconds(server.pid);
    await load();
    found.push((1000 * (cpuSeconds(server.pid) - before)) / (CLIENTS * REQUESTS_PER_CLIENT));
  }
  return found.sort((a, b) => a - b);
}

async function embeddingSizeOf(server: ServerProcess): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${server.restPort}/v1/models/faceid/metadata`);
  const { metadata } = (await answer.json()) as {
    metadata: {
      signature_def: {
        signature_def: Record<
          string,
          { outputs: Record<string, { tensor_shape: { dim: { size: string }[] } }> }
        >;
      };
    };
  };
  const { outputs } = metadata.signature_def.signature_def.embed!;
  return Number(Object.values(outputs)[0]!.tensor_shape.dim.at(-1)!.size);
}

const work = await mkdtemp(join(tmpdir(), "faceid-processor-time-"));
try {
  for (const network of NETWORKS) {
    const base = join(work, network);
    await writeFaceModel(join(base, "1"), { network, side: SIDE });
    await using server = await serve(["--model_name=faceid", `--model_base_path=${base}`]);
    for (const [kind, body] of Object.entries(await requests(await embeddingSizeOf(server)))) {
      const found = await costs(server, body);
      const kilobytes = (body.length / 1000).toFixed(0);
      const [least, median, most] = found.map((ms) => ms.toFixed(1));
      console.log(
        `${network.padEnd(13)}  ${kind.padEnd(21)}  ${kilobytes.padStart(4)} kB  ${median!.padStart(6)} ms  (${least} to ${most})`,
      );
    }
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
