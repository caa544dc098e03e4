/** @file Server reflection: lists the services and sends the proto files that describe them. */
import type { DescFile, DescService, Registry } from "@bufbuild/protobuf";
import { create, createRegistry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../proto/grpc/reflection/v1/reflection_pb.ts";
import { STATUS } from "../status.ts";

/** Answers requests about a set of services. */
export class Reflection {
  readonly #services: readonly DescService[];
  /** Files by name, dependencies included. */
  readonly #files = new Map<string, DescFile>();
  /** Messages, enums and services by full name. */
  readonly #types: Registry;

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const { file } of services)
      for (const each of withDependencies(file)) this.#files.set(each.proto.name, each);
    this.#types = createRegistry(...this.#files.values());
  }

  answer(request: ServerReflectionRequest): ServerReflectionResponse {
    return create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: this.#respond(request.messageRequest),
    });
  }

  #respond({ case: asked, value }: ServerReflectionRequest["messageRequest"]) {
    switch (asked) {
      case "listServices":
        return {
          case: "listServicesResponse" as const,
          value: { service: this.#services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return this.#file(this.#files.get(value), value);
      case "fileContainingSymbol":
        return this.#file(this.#findSymbol(value), value);
      case "allExtensionNumbersOfType":
        return { case: "allExtensionNumbersResponse" as const, value: { baseTypeName: value } };
      default:
        return notFound("extensions");
    }
  }

  /** A method is found by its service. */
  #findSymbol(name: string): DescFile | undefined {
    return (this.#types.get(name) ?? this.#types.get(name.slice(0, name.lastIndexOf("."))))?.file;
  }

  /** A file with all its dependencies, which saves the client further requests. */
  #file(file: DescFile | undefined, name: string) {
    if (file === undefined) return notFound(name);
    const files = withDependencies(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
    return { case: "fileDescriptorResponse" as const, value: { fileDescriptorProto: files } };
  }
}

function withDependencies(file: DescFile): DescFile[] {
  const files = new Set([file]);
  for (const each of files) for (const dependency of each.dependencies) files.add(dependency);
  return [...files];
}

function notFound(name: string) {
  return {
    case: "errorResponse" as const,
    value: { errorCode: STATUS.NOT_FOUND.grpc, errorMessage: `not found: ${name}` },
  };
}
