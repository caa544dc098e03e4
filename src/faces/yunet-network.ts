/** @file YuNet's network for pictures of any size: one session for each size of input. */
import { FaceError } from "../base/errors.ts";
import { floats, type TensorMap } from "../base/tensor.ts";
import type { Pixels } from "../image/settings.ts";
import { lower } from "../onnx/lower/lower.ts";
import { readOnnx } from "../onnx/read/read.ts";
import type { Detection, Point } from "./face.ts";
import { type NetworkRunner, type OpenNetwork, writePlanes } from "./network.ts";
import { decodeYunet, INPUT_MULTIPLE, type InputSize, STRIDES } from "./yunet.ts";

/** The network's input in its file. */
const INPUT = "input";
/**
 * Pixels of input that idle sessions may have together, since a session keeps the memory of its run (about 100 bytes a
 * pixel). A size used less recently is opened again when it is needed.
 */
const KEPT_PIXELS = 3_000_000;
/** And so many may be kept, since each can have a thread of its own. */
const KEPT_SESSIONS = 12;

const ceiling = (side: number) => Math.max(1, Math.ceil(side / INPUT_MULTIPLE)) * INPUT_MULTIPLE;

/** The picture with black to the right and below, so that both sides are multiples of 32. */
function padded(picture: Pixels): Pixels {
  const [width, height] = [ceiling(picture.width), ceiling(picture.height)];
  if (width === picture.width && height === picture.height) return picture;
  const data = new Uint8Array(width * height * 3);
  const stride = picture.width * 3;
  for (let row = 0; row < picture.height; row++) {
    data.set(picture.data.subarray(row * stride, (row + 1) * stride), row * width * 3);
  }
  return { data, width, height };
}

/** A session for one size of input. */
interface SizedSession {
  readonly pixels: number;
  readonly runner: Promise<NetworkRunner>;
  /** Runs under way. */
  users: number;
}

/** YuNet. */
export class YunetNetwork implements AsyncDisposable {
  readonly #model: Uint8Array;
  readonly #open: OpenNetwork;
  /** By size, the one used last at the end. */
  readonly #sessions = new Map<string, SizedSession>();

  /**
   * @param model the ONNX file's content.
   * @param open starts a session.
   * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not YuNet.
   */
  constructor(model: Uint8Array, open: OpenNetwork) {
    const { outputs } = readOnnx(model, { what: "the face detector" });
    const wanted = STRIDES.flatMap((stride) =>
      ["cls", "obj", "bbox", "kps"].map((kind) => `${kind}_${stride}`),
    );
    const missing = wanted.filter((name) => !(name in outputs));
    if (missing.length > 0) {
      throw new FaceError("MODEL_UNSUPPORTED", `the face detector has no output ${missing.join(", ")}`, {
        hint: "use YuNet's file face_detection_yunet_2023mar or its int8bq variant",
      });
    }
    this.#model = model;
    this.#open = open;
  }

  async #openFor({ width, height }: InputSize): Promise<NetworkRunner> {
    const inputShapes = { [INPUT]: [1, 3, height, width] };
    const { outputs } = readOnnx(this.#model, { what: "the face detector", inputShapes });
    return this.#open(lower({ outputs }).bytes);
  }

  #session({ width, height }: InputSize): SizedSession {
    const key = `${width}x${height}`;
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = { pixels: width * height, runner: this.#openFor({ width, height }), users: 0 };
      // One that could not be opened is tried again next time.
      session.runner.catch(() => this.#sessions.delete(key));
    }
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    return session;
  }

  /** Ends idle sessions, those not used for longest first, until the others are small enough to be kept. */
  async #forget(): Promise<void> {
    let pixels = [...this.#sessions.values()].reduce((sum, session) => sum + session.pixels, 0);
    for (const [key, session] of [...this.#sessions]) {
      if (pixels <= KEPT_PIXELS && this.#sessions.size <= KEPT_SESSIONS) return;
      if (session.users > 0) continue;
      this.#sessions.delete(key);
      pixels -= session.pixels;
      await (await session.runner).close();
    }
  }

  async #run(size: InputSize, planes: Float32Array): Promise<TensorMap> {
    const session = this.#session(size);
    session.users++;
    try {
      const shape = [1, 3, size.height, size.width];
      const runner = await session.runner;
      return await runner.run(new Map([[INPUT, { dtype: "float32", shape, data: planes }]]));
    } finally {
      session.users--;
      await this.#forget();
    }
  }

  /**
   * Cells of a picture that may be part of a face, in its pixels.
   * @param mirrored searches the picture's mirror image; the detections are of the picture all the same.
   * @param threshold lowest score of a cell.
   */
  async detect(picture: Pixels, mirrored: boolean, threshold: number): Promise<Detection[]> {
    const { data, width, height } = padded(picture);
    const planes = new Float32Array(width * height * 3);
    writePlanes({ data, width, height }, "bgr", mirrored, planes, 0);
    const outputs = await this.#run({ width, height }, planes);
    const found = decodeYunet((name) => floats(outputs.get(name)!), { width, height }, threshold);
    return mirrored ? found.map((detection) => mirror(detection, width)) : found;
  }

  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const { runner } of sessions) await (await runner).close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What was found in a mirror image, in the picture itself: left and right of the face change places too. */
function mirror({ box: [x, y, width, height], landmarks, score }: Detection, columns: number): Detection {
  const place = ([px, py]: Point): Point => [columns - 1 - px, py];
  const [left, right, nose, mouthLeft, mouthRight] = landmarks;
  return {
    box: [columns - x - width, y, width, height],
    landmarks: [place(right), place(left), place(nose), place(mouthRight), place(mouthLeft)],
    score,
  };
}
