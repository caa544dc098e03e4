/** @file The same pair of photographs as requests of every format, prepared before the clock starts. */
import { create, toBinary } from "@bufbuild/protobuf";
import { decodeImage, encodeJpeg } from "../../src/image/decode.ts";
import { prepare } from "../../src/image/settings.ts";
import { DataType } from "../../src/proto/tensorflow/tensor_pb.ts";
import { PredictRequestSchema } from "../../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { drawPhoto } from "../../src/synthetic/draw.ts";

/** The network's input. */
export const SIDE = 112;
/** A photograph's side, as in Labeled Faces in the Wild. */
const PHOTO_SIDE = 250;
export const MODEL = "faceid";
const PATH = `/v1/models/${MODEL}:predict`;
const BOUNDARY = "faceid-bench-boundary";

/** Requests for one pair. */
export interface Requests {
  /** RGB in [0, 1] of both photographs, `[112, 112, 3]`. */
  readonly floats: readonly [Float32Array, Float32Array];
  /** The photographs as JPEG files. */
  readonly files: readonly [Uint8Array, Uint8Array];
  /** A serialized `PredictRequest` with `tensor_content`. */
  readonly grpc: Buffer;
  /** Whole HTTP requests, head and body. */
  readonly json: Buffer;
  readonly form: Buffer;
  readonly base64: Buffer;
}

function http(contentType: string, body: Buffer): Buffer {
  const head =
    `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${contentType}\r\n` +
    `Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function grpcRequest(floats: Requests["floats"]): Buffer {
  const tensor = (pixels: Float32Array) => ({
    dtype: DataType.DT_FLOAT,
    tensorShape: { dim: [1, SIDE, SIDE, 3].map((size) => ({ size: BigInt(size) })) },
    tensorContent: new Uint8Array(pixels.buffer),
  });
  const message = create(PredictRequestSchema, {
    modelSpec: { name: MODEL },
    inputs: { anchor_img: tensor(floats[0]), verification_img: tensor(floats[1]) },
  });
  return Buffer.from(toBinary(PredictRequestSchema, message));
}

function jsonRequest(floats: Requests["floats"]): Buffer {
  // The digits that identify a float32, as clients in other languages print them.
  const rows = (pixels: Float32Array) =>
    Array.from({ length: SIDE }, (_, y) =>
      Array.from({ length: SIDE }, (_, x) =>
        Array.from({ length: 3 }, (_, c) => Number(pixels[(y * SIDE + x) * 3 + c]!.toPrecision(9))),
      ),
    );
  const instance = { anchor_img: rows(floats[0]), verification_img: rows(floats[1]) };
  return Buffer.from(JSON.stringify({ instances: [instance] }));
}

function formBody(files: readonly [Uint8Array, Uint8Array]): Buffer {
  const part = (name: string, file: Uint8Array) => [
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"; filename="${name}.jpg"\r\n` +
        "Content-Type: image/jpeg\r\n\r\n",
    ),
    file,
    Buffer.from("\r\n"),
  ];
  return Buffer.concat([
    ...part("anchor_img", files[0]),
    ...part("verification_img", files[1]),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);
}

function base64Body(files: readonly [Uint8Array, Uint8Array]): Buffer {
  const b64 = (file: Uint8Array) => ({ b64: Buffer.from(file).toString("base64") });
  const instance = { anchor_bytes: b64(files[0]), verification_bytes: b64(files[1]) };
  return Buffer.from(JSON.stringify({ signature_name: "verify_encoded", instances: [instance] }));
}

/** Draws two photographs and encodes a request of each format. */
export async function makeRequests(): Promise<Requests> {
  const photo = async (number: number) => {
    const photograph = { seed: 1, identity: number, number: 0, difficulty: 1 };
    const pixels = drawPhoto(photograph, { height: PHOTO_SIDE, width: PHOTO_SIDE, channels: 3 });
    return encodeJpeg(pixels, PHOTO_SIDE, PHOTO_SIDE);
  };
  const files = [await photo(0), await photo(1)] as const;
  const settings = { height: SIDE, width: SIDE, channels: 3 } as const;
  const pixels = async (file: Uint8Array) => prepare(await decodeImage(file, settings));
  const floats = [await pixels(files[0]), await pixels(files[1])] as const;
  return {
    floats,
    files,
    grpc: grpcRequest(floats),
    json: http("application/json", jsonRequest(floats)),
    form: http(`multipart/form-data; boundary=${BOUNDARY}`, formBody(files)),
    base64: http("application/json", base64Body(files)),
  };
}
