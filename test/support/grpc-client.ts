/** @file A bare gRPC client for tests: any unary method of a generated service. */
import {
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type CallOptions, type ChannelCredentials, Client, credentials } from "@grpc/grpc-js";

/** Calls methods at one address. */
export interface GrpcCaller extends Disposable {
  readonly client: Client;
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
}

/** Rejections carry `code` and `details`. */
export function grpcCaller(
  address: string,
  security: ChannelCredentials = credentials.createInsecure(),
  options: Record<string, string | number> = {},
): GrpcCaller {
  const client = new Client(address, security, { "grpc.max_receive_message_length": -1, ...options });
  return {
    client,
    call: (method, request, callOptions = {}) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          `/${method.parent.typeName}/${method.name}`,
          (message: MessageShape<typeof method.input>) => Buffer.from(toBinary(method.input, message)),
          (bytes: Buffer) => fromBinary(method.output, bytes),
          request,
          callOptions,
          (error, response) => (error === null ? resolve(response!) : reject(error)),
        );
      }),
    [Symbol.dispose]: () => client.close(),
  };
}
