/** @file ONNX files written by hand for tests: any operator, any operator set. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { DType, NumericDType } from "../../src/base/tensor.ts";
import { bytesOf, type Tensor } from "../../src/base/tensor.ts";
import { ONNX_TYPE } from "../../src/onnx/dtypes.ts";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TypeProtoSchema,
} from "../../src/proto/onnx/onnx_pb.ts";

/** A number is whole unless it is wrapped in `{ float }`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | Tensor
  | { readonly float: number }
  | { readonly floats: readonly number[] };

export interface OnnxFileNode {
  readonly op: string;
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[];
  /** `y` when left out. */
  readonly outputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
  readonly name?: string;
}

export interface OnnxFilePort {
  readonly dtype?: DType;
  readonly shape?: readonly (number | string)[];
}

export interface OnnxFile {
  readonly opset?: number;
  readonly inputs: Readonly<Record<string, OnnxFilePort>>;
  readonly stored?: Readonly<Record<string, Tensor>>;
  readonly nodes: readonly OnnxFileNode[];
  /** `y`, a float32 tensor, when left out. */
  readonly outputs?: Readonly<Record<string, OnnxFilePort>>;
}

/** A tensor as raw bytes. */
export function tensorProto(name: string, value: Tensor): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: value.shape.map(BigInt),
    dataType: ONNX_TYPE[value.dtype],
    rawData: Uint8Array.from(bytesOf(value as Tensor<NumericDType>)),
  });
}

function attributeProto(name: string, value: Attribute): AttributeProto {
  const of = (fields: Omit<Partial<AttributeProto>, "$typeName">) =>
    create(AttributeProtoSchema, { name, ...(fields as object) });
  if (typeof value === "number") return of({ type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === "string")
    return of({ type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ("float" in value) return of({ type: AttributeType.FLOAT, f: value.float });
  if ("floats" in value) return of({ type: AttributeType.FLOATS, floats: [...value.floats] });
  if ("dtype" in value) return of({ type: AttributeType.TENSOR, t: tensorProto("", value) });
  return of({ type: AttributeType.INTS, ints: value.map(BigInt) });
}

const port = (name: string, { dtype = "float32", shape }: OnnxFilePort) => ({
  name,
  type: create(TypeProtoSchema, {
    value: {
      case: "tensorType",
      value: {
        elemType: ONNX_TYPE[dtype],
        ...(shape === undefined
          ? {}
          : {
              shape: {
                dim: shape.map((side) => ({
                  value:
                    typeof side === "number"
                      ? { case: "dimValue" as const, value: BigInt(side) }
                      : { case: "dimParam" as const, value: side },
                })),
              },
            }),
      },
    },
  }),
});

/** The message of a file. */
export function onnxModel({
  opset = 17,
  inputs,
  stored = {},
  nodes,
  outputs = { y: {} },
}: OnnxFile): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: opset > 20 ? 10n : 8n,
    opsetImport: [
      { domain: "", version: BigInt(opset) },
      { domain: "com.microsoft", version: 1n },
    ],
    graph: {
      name: "test",
      node: nodes.map(
        ({ op, inputs: input, outputs: output = ["y"], attributes = {}, domain = "", name = "" }) => ({
          opType: op,
          domain,
          name,
          input: [...input],
          output: [...output],
          attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
        }),
      ),
      initializer: Object.entries(stored).map(([name, value]) => tensorProto(name, value)),
      input: Object.entries(inputs).map(([name, each]) => port(name, each)),
      output: Object.entries(outputs).map(([name, each]) => port(name, each)),
    },
  });
}

/** A file's bytes. */
export const onnxFile = (file: OnnxFile): Uint8Array => toBinary(ModelProtoSchema, onnxModel(file));
