/** @file Asks a server over TensorFlow Serving's gRPC interface. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, status as grpcStatus, Metadata, type ServiceError } from "@grpc/grpc-js";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { FaceError, SYSTEM_REASONS } from "../base/errors.ts";
import { bytesOf, type Tensor } from "../base/tensor.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import {
  GetModelMetadataRequestSchema,
  PredictionService,
  PredictRequestSchema,
  SignatureDefMapSchema,
} from "../proto/tensorflow_serving/prediction_service_pb.ts";
import {
  type Answer,
  type DescribedInput,
  doubtfulPictures,
  errorAnswer,
  imagePorts,
  predictionsAnswer,
  readPicture,
} from "./pair.ts";

export interface GrpcTarget {
  /** `localhost:8500` */
  readonly address: string;
  readonly model: string;
  readonly timeoutMs?: number;
  readonly apiKey?: string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const CHANNEL_OPTIONS = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

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
  const signatures = packed === undefined ? undefined : anyUnpack(packed, SignatureDefMapSchema);
  const inputs = signatures?.signatureDef[DEFAULT_SIGNATURE]?.inputs ?? {};
  return Object.entries(inputs).map(([name, { tensorShape }]) => ({
    name,
    shape: (tensorShape?.dim ?? []).map(({ size }) => Number(size)),
  }));
}

const tensorMessage = ({ shape, ...value }: Tensor<"float32">) => ({
  dtype: DataType.DT_FLOAT,
  tensorShape: { dim: shape.map((size) => ({ size: BigInt(size) })) },
  tensorContent: bytesOf({ shape, ...value }),
});

/** The first float of a tensor in either encoding. */
function firstFloat(floatVal: readonly number[], content: Uint8Array): number | undefined {
  if (content.length >= Float32Array.BYTES_PER_ELEMENT) {
    return new DataView(content.buffer, content.byteOffset).getFloat32(0, true);
  }
  return floatVal[0];
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

/** What the library says where a server is there that speaks something else. */
const OTHER_PROTOCOL =
  /protocol error|Failed to connect|ECONNRESET|Received HTTP status|content-type|RST_STREAM|socket hang up|Connection dropped|closed/i;

/** The error of a server that cannot be asked; undefined for an answer. */
function unreachableBy(address: string, error: ServiceError): FaceError | undefined {
  const { code, details } = error;
  const isOther = OTHER_PROTOCOL.test(details);
  const isTransport = code === grpcStatus.INTERNAL || code === grpcStatus.UNKNOWN;
  if (code !== grpcStatus.UNAVAILABLE && !(isTransport && isOther)) return undefined;
  if (isOther) {
    return new FaceError("SERVER_UNREACHABLE", `no gRPC interface answers at ${address}`, {
      hint: "gRPC has the port of --port, usually 8500; REST's port takes --url; a server with a certificate is asked by --url https://…",
      cause: error,
    });
  }
  const system = Object.keys(SYSTEM_REASONS).find((each) => details.includes(each));
  const known = system ?? (/name resolution/i.test(details) ? "ENOTFOUND" : undefined);
  const reason = known === undefined ? details : `${known}, ${SYSTEM_REASONS[known]!.words}`;
  return new FaceError("SERVER_UNREACHABLE", `no server answers at ${address}: ${reason}`, {
    hint: "start one with faceid serve, or pass --grpc HOST:PORT",
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
  try {
    const ports = imagePorts(await inputsOf(client, target), model);
    const pictures = await Promise.all(ports.map((port, i) => readPicture(images[i as 0 | 1], port)));
    const request = create(PredictRequestSchema, {
      modelSpec: { name: model },
      inputs: Object.fromEntries(ports.map(({ name }, i) => [name, tensorMessage(pictures[i]!.tensor)])),
    });
    const { outputs } = await call(client, PredictionService.method.predict, request, target);
    const [output] = Object.values(outputs);
    const probability = output === undefined ? undefined : firstFloat(output.floatVal, output.tensorContent);
    if (probability === undefined)
      throw new FaceError("SERVER_ERROR", `the answer of ${model} has no number`);
    return { ...predictionsAnswer(probability), ...doubtfulPictures(pictures, ports) };
  } catch (error) {
    if (!isServiceError(error)) throw error;
    const unreachable = unreachableBy(address, error);
    if (unreachable === undefined) return errorAnswer(error.details);
    throw unreachable;
  } finally {
    client.close();
  }
}
