/** @file Server reflection: which services there are, and the files that describe them. */
import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../proto/grpc/reflection/v1/reflection_pb.ts";
import { STATUS } from "../status.ts";

/** Answers questions about a set of services. */
export class Reflection {
  readonly #services: readonly DescService[];
  /** Files by name, dependencies included. */
  readonly #files = new Map<string, DescFile>();
  /** Full name of a service, method, message or enum → its file. */
  readonly #symbols = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const service of services) this.#add(service.file);
  }

  #add(file: DescFile): void {
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const { typeName } of [...file.messages, ...file.enums]) this.#symbols.set(typeName, file);
    for (const service of file.services) {
      this.#symbols.set(service.typeName, file);
      for (const method of service.methods) this.#symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
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

  /** Nested types are found by the outermost type they belong to. */
  #findSymbol(name: string): DescFile | undefined {
    for (let symbol = name; symbol.includes("."); symbol = symbol.slice(0, symbol.lastIndexOf("."))) {
      const file = this.#symbols.get(symbol);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** A file with all it depends on, so that a client need not ask again. */
  #file(file: DescFile | undefined, name: string) {
    if (file === undefined) return notFound(name);
    const wanted = new Set<DescFile>([file]);
    for (const each of wanted) for (const dependency of each.dependencies) wanted.add(dependency);
    return {
      case: "fileDescriptorResponse" as const,
      value: {
        fileDescriptorProto: [...wanted].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
      },
    };
  }
}

function notFound(name: string) {
  return {
    case: "errorResponse" as const,
    value: { errorCode: STATUS.NOT_FOUND.grpc, errorMessage: `not found: ${name}` },
  };
}
