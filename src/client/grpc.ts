/** @file Asks a server over TensorFlow Serving's gRPC interface. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, status as grpcStatus, Metadata, type ServiceError } from "@grpc/grpc-js";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { FaceError, messageOf, SYSTEM_REASONS } from "../base/errors.ts";
import { counted } from "../base/log.ts";
import { bytesOf, type Tensor } from "../base/tensor.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import {
  GetModelMetadataRequestSchema,
  PredictionService,
  PredictRequestSchema,
  type PredictResponseSchema,
  SignatureDefMapSchema,
} from "../proto/tensorflow_serving/prediction_service_pb.ts";
import {
  type Answer,
  errorAnswer,
  MOST_ANSWER_BYTES,
  MOST_REPEATED,
  noPrediction,
  predictionsAnswer,
} from "./answer.ts";
import { excerpt } from "./body.ts";
import { cutOff, reachHint, wasReset } from "./exchange.ts";
import { type DescribedInput, doubtfulPictures, imagePorts, readPicture } from "./pair.ts";

export interface GrpcTarget {
  /** `localhost:8500` */
  readonly address: string;
  readonly model: string;
  readonly timeoutMs?: number;
  readonly apiKey?: string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MOST_ANSWER_BYTES,
  "grpc.max_send_message_length": -1,
};

/** One unary call. */
function call<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  request: MessageShape<I>,
  { timeoutMs = DEFAULT_TIMEOUT_MS, apiKey }: GrpcTarget,
): Promise<MessageShape<O>> {
  const metadata = new Metadata();
  if (apiKey !== undefined) metadata.set("authorization", `Bearer ${apiKey}`);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/${method.parent.typeName}/${method.name}`,
      (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      request,
      metadata,
      { deadline: Date.now() + timeoutMs },
      (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
    );
  });
}

async function inputsOf(client: Client, target: GrpcTarget): Promise<DescribedInput[]> {
  const request = create(GetModelMetadataRequestSchema, {
    modelSpec: { name: target.model },
    metadataField: ["signature_def"],
  });
  const { metadata } = await call(client, PredictionService.method.getModelMetadata, request, target);
  const packed = metadata.signature_def;
  const signatures = packed === undefined ? undefined : signaturesIn(packed, target.model);
  const inputs = signatures?.signatureDef[DEFAULT_SIGNATURE]?.inputs ?? {};
  return Object.entries(inputs).map(([name, { tensorShape }]) => ({
    name,
    shape: (tensorShape?.dim ?? []).map(({ size }) => Number(size)),
  }));
}

function signaturesIn(packed: Any, model: string) {
  try {
    return anyUnpack(packed, SignatureDefMapSchema);
  } catch (cause) {
    const problem = `the metadata of ${model} are not those of a model: ${messageOf(cause)}`;
    throw new FaceError("SERVER_ERROR", problem, {
      hint: "check that a server of TensorFlow Serving's protocol runs there",
      cause,
    });
  }
}

const tensorMessage = ({ shape, ...value }: Tensor<"float32">) => ({
  dtype: DataType.DT_FLOAT,
  tensorShape: { dim: shape.map((size) => ({ size: BigInt(size) })) },
  tensorContent: bytesOf({ shape, ...value }),
});

type Outputs = MessageShape<typeof PredictResponseSchema>["outputs"];

const EXPECTED = "one output of DT_FLOAT, [1, 1], with a number from 0 to 1";

/** The probability in the outputs of a model that compares two images, `[1, 1]` as REST's `[[p]]`; else what came instead. */
function probabilityIn(outputs: Outputs): Answer {
  const entries = Object.entries(outputs);
  const [first] = entries;
  if (first === undefined || entries.length > 1) {
    const names = excerpt(entries.map(([name]) => name).join(", "), MOST_REPEATED);
    return noPrediction(counted(entries.length, "output") + (names && ` (${names})`), EXPECTED);
  }
  const [name, { dtype, tensorShape, floatVal, tensorContent: bytes }] = first;
  const shape = (tensorShape?.dim ?? []).map(({ size }) => String(size)).join(", ");
  const got = `${excerpt(name, MOST_REPEATED)}, ${DataType[dtype] ?? dtype}, [${excerpt(shape, MOST_REPEATED)}]`;
  const values = bytes.length === 0 ? floatVal : floatsIn(bytes);
  const [value] = values;
  if (dtype !== DataType.DT_FLOAT || shape !== "1, 1" || value === undefined || values.length > 1) {
    return noPrediction(`${got} with ${counted(values.length, "number")}`, EXPECTED);
  }
  return value >= 0 && value <= 1 ? predictionsAnswer(value) : noPrediction(`${got}, ${value}`, EXPECTED);
}

/** Little-endian floats; none where the bytes are no whole number of them. */
function floatsIn(bytes: Uint8Array): readonly number[] {
  const size = Float32Array.BYTES_PER_ELEMENT;
  if (bytes.length % size !== 0) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: bytes.length / size }, (_, i) => view.getFloat32(i * size, true));
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

/** What a server says of a failure; grpc-js writes its own limit into the error of a longer message. */
const detailsOf = ({ details }: ServiceError): string =>
  details.includes(`vs ${MOST_ANSWER_BYTES})`)
    ? `the server's answer has more than 1 MB; no metadata and no prediction are so long (${details})`
    : details;

/** What the library says where a server is there that speaks something else. */
const OTHER_PROTOCOL =
  /protocol error|Failed to connect|Received HTTP status|content-type|RST_STREAM|socket hang up|Connection dropped|closed/i;

/** What the library says where a connection ended, and where it had not come about. */
const ENDED = /ECONNRESET|Connection dropped/;
const NOT_CONNECTED = /No connection established/;

/**
 * The error of a server that cannot be asked; undefined for an answer.
 * @param isKnown whether this server has answered in gRPC before.
 */
async function unreachableBy(
  { address, model }: GrpcTarget,
  error: ServiceError,
  isKnown: boolean,
): Promise<FaceError | undefined> {
  const { code, details } = error;
  const isOther = OTHER_PROTOCOL.test(details);
  const isTransport = code === grpcStatus.INTERNAL || code === grpcStatus.UNKNOWN;
  if (code !== grpcStatus.UNAVAILABLE && !(isTransport && (isOther || ENDED.test(details)))) return undefined;
  if (ENDED.test(details)) {
    return isKnown || !NOT_CONNECTED.test(details) ? cutOff(address, error) : wasReset(address, error);
  }
  if (isOther) {
    return new FaceError("SERVER_UNREACHABLE", `no gRPC interface answers at ${address}`, {
      hint: "gRPC has the port of --port, usually 8500; REST's port takes --url; a server with a certificate is asked by --url https://…",
      cause: error,
    });
  }
  const system = Object.keys(SYSTEM_REASONS).find((each) => details.includes(each));
  const known = system ?? (/name resolution/i.test(details) ? "ENOTFOUND" : undefined);
  const reason = known === undefined ? details : `${known}, ${SYSTEM_REASONS[known]!.words}`;
  const { hostAndPort, startLine } = await import("./start-line.ts");
  const place = hostAndPort(address);
  return new FaceError("SERVER_UNREACHABLE", `no server answers at ${address}: ${reason}`, {
    hint: reachHint(known, place && startLine({ ...place, interface: "gRPC", model, verify: false })),
    cause: error,
  });
}

/**
 * Asks whether two photographs show one person.
 * @returns the answer, which may be an error, in the form of the REST interface.
 * @throws FaceError `IMAGE_UNREADABLE`, `SERVER_UNREACHABLE` or `SERVER_ERROR`.
 */
export async function requestGrpc(target: GrpcTarget, images: readonly [string, string]): Promise<Answer> {
  const { address, model } = target;
  const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  let isKnown = false;
  try {
    const inputs = await inputsOf(client, target);
    isKnown = true;
    const ports = imagePorts(inputs, model);
    const pictures = await Promise.all(ports.map((port, i) => readPicture(images[i as 0 | 1], port)));
    const request = create(PredictRequestSchema, {
      modelSpec: { name: model },
      inputs: Object.fromEntries(ports.map(({ name }, i) => [name, tensorMessage(pictures[i]!.tensor)])),
    });
    const { outputs } = await call(client, PredictionService.method.predict, request, target);
    return { ...probabilityIn(outputs), ...doubtfulPictures(pictures, ports) };
  } catch (error) {
    if (!isServiceError(error)) throw error;
    const unreachable = await unreachableBy(target, error, isKnown);
    if (unreachable === undefined) return errorAnswer(detailsOf(error));
    throw unreachable;
  } finally {
    client.close();
  }
}
