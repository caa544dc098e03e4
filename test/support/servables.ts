/** @file Tiny models written in plain code, for tests of what lies between a client and the engine. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { FaceError } from "../../src/base/errors.ts";
import { type DType, float32, floats, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { ExampleSchema } from "../../src/proto/tensorflow/example_pb.ts";
import { type SignatureDef, SignatureDefSchema } from "../../src/proto/tensorflow/graph_pb.ts";
import { DataType } from "../../src/proto/tensorflow/tensor_pb.ts";
import { dataTypeOf, dtypeOf } from "../../src/savedmodel/format/tensor-proto.ts";
import type { Signature, SignatureTensor } from "../../src/savedmodel/signature.ts";
import type { ModelLoader, Servable, ServableId } from "../../src/serving/engine/servable.ts";

interface Port {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly number[];
}

const port = (name: string, dtype: DataType, ...shape: number[]): Port => ({ name, dtype, shape });

function signatureDef(
  methodName: string,
  inputs: Record<string, Port>,
  outputs: Record<string, Port>,
): SignatureDef {
  const infos = (ports: Record<string, Port>) =>
    Object.fromEntries(
      Object.entries(ports).map(([alias, { name, dtype, shape }]) => [
        alias,
        {
          dtype,
          tensorShape: { dim: shape.map((size) => ({ size: BigInt(size) })) },
          encoding: { case: "name" as const, value: name },
        },
      ]),
    );
  return create(SignatureDefSchema, { methodName, inputs: infos(inputs), outputs: infos(outputs) });
}

function signatureOf(def: SignatureDef): Signature {
  const ports = (infos: SignatureDef["inputs"]) =>
    new Map(
      Object.entries(infos).map(([alias, info]): [string, SignatureTensor] => [
        alias,
        {
          tensorName: info.encoding.case === "name" ? info.encoding.value : "",
          dtype: dtypeOf(info.dtype)!,
          shape: info.tensorShape?.dim.map(({ size }) => Number(size)),
        },
      ]),
    );
  return {
    inputs: ports(def.inputs),
    outputs: ports(def.outputs),
    methodName: def.methodName,
    defaults: new Map(),
  };
}

type Compute = (inputs: TensorMap) => TensorMap | Promise<TensorMap>;

interface Program {
  readonly def: SignatureDef;
  readonly compute: Compute;
}

function codeServable(id: ServableId, programs: Record<string, Program>): Servable {
  const entries = Object.entries(programs);
  return {
    ...id,
    signatures: new Map(entries.map(([name, { def }]) => [name, signatureOf(def)])),
    signatureDefs: Object.fromEntries(entries.map(([name, { def }]) => [name, def])),
    run: async (signatureName, inputs, outputNames) => {
      const outputs = await programs[signatureName]!.compute(inputs);
      return new Map(outputNames.map((name) => [name, outputs.get(name)!]));
    },
    close: async () => undefined,
  };
}

/** x / 2 + `plus`, element by element. */
function half(value: Tensor, plus: number): Tensor {
  return float32(
    value.shape,
    floats(value).map((x) => x / 2 + plus),
  );
}

/** The float feature `x` of serialized examples, `[batch, 1]`. */
function featureX(inputs: TensorMap): Tensor {
  const records = inputs.get("inputs")!.data as readonly Uint8Array[];
  const values = records.map((record) => {
    const kind = fromBinary(ExampleSchema, record).features?.feature.x?.kind;
    return kind?.case === "floatList" ? kind.value.value[0]! : 0;
  });
  return float32([values.length, 1], values);
}

/** TensorFlow Serving's best known test model: y = x / 2 + 2, with classify and regress signatures. */
export function halfPlusTwo(id: ServableId): Servable {
  const x = port("x:0", DataType.DT_FLOAT, -1, 1);
  const y = port("y:0", DataType.DT_FLOAT, -1, 1);
  const examples = port("tf_example:0", DataType.DT_STRING);
  return codeServable(id, {
    serving_default: {
      def: signatureDef("tensorflow/serving/predict", { x }, { y }),
      compute: (inputs) => new Map([["y", half(inputs.get("x")!, 2)]]),
    },
    regress_x_to_y: {
      def: signatureDef("tensorflow/serving/regress", { inputs: examples }, { outputs: y }),
      compute: (inputs) => new Map([["outputs", half(featureX(inputs), 2)]]),
    },
    classify_x_to_y: {
      def: signatureDef("tensorflow/serving/classify", { inputs: examples }, { scores: y }),
      compute: (inputs) => new Map([["scores", half(featureX(inputs), 2)]]),
    },
  });
}

/** Two inputs and two outputs, among them a string: `sum` = a + b, and `name_bytes`, `name` as they came. */
export function twoInputs(id: ServableId): Servable {
  const a = port("a:0", DataType.DT_FLOAT, -1);
  const b = port("b:0", DataType.DT_FLOAT, -1);
  const name = port("name:0", DataType.DT_STRING, -1);
  return codeServable(id, {
    serving_default: {
      def: signatureDef("tensorflow/serving/predict", { a, b }, { sum: a, product: b }),
      compute: (inputs) => {
        const [left, right] = [floats(inputs.get("a")!), floats(inputs.get("b")!)];
        const { shape } = inputs.get("a")!;
        return new Map([
          [
            "sum",
            float32(
              shape,
              left.map((value, i) => value + right[i]!),
            ),
          ],
          [
            "product",
            float32(
              shape,
              left.map((value, i) => value * right[i]!),
            ),
          ],
        ]);
      },
    },
    echo: {
      def: signatureDef("tensorflow/serving/predict", { name }, { name_bytes: name }),
      compute: (inputs) => new Map([["name_bytes", inputs.get("name")!]]),
    },
  });
}

/** Answers after as many milliseconds as its input says. */
export function sleeper(id: ServableId): Servable {
  const ms = port("ms:0", DataType.DT_FLOAT);
  return codeServable(id, {
    serving_default: {
      def: signatureDef("tensorflow/serving/predict", { ms }, { ms }),
      compute: async (inputs) => {
        const value = inputs.get("ms")!;
        await new Promise((resolve) => setTimeout(resolve, floats(value)[0]));
        return new Map([["ms", value]]);
      },
    },
  });
}

const ELEMENT_TYPES = [
  "float32 float64 float16 bfloat16 int8 int16 int32 int64",
  "uint8 uint16 uint32 uint64 bool string",
].flatMap((line) => line.split(" ") as DType[]);

/** `y` = `x`, by a signature for each element type. */
function echoes(id: ServableId): Servable {
  const programs = ELEMENT_TYPES.map((dtype) => {
    const x = port("x:0", dataTypeOf(dtype), -1, -1);
    const program: Program = {
      def: signatureDef("tensorflow/serving/predict", { x }, { y: x }),
      compute: (inputs) => new Map([["y", inputs.get("x")!]]),
    };
    return [dtype, program] as const;
  });
  return codeServable(id, Object.fromEntries(programs));
}

const PROGRAMS: Record<string, (id: ServableId) => Servable> = {
  half_plus_two: halfPlusTwo,
  two_inputs: twoInputs,
  echoes,
  sleeper,
};

/** Loads version folders that hold a file `program` with the name of a model above, or `broken`. */
export const loadProgram: ModelLoader = async (folder, id) => {
  const text = await readFile(join(folder, "program"), "utf8");
  const program = PROGRAMS[text];
  if (program === undefined) throw new FaceError("MODEL_INVALID", `the model in ${folder} is ${text}`);
  return program(id);
};

/** A temporary folder of models, removed at the end. */
export interface ModelFolder extends AsyncDisposable {
  readonly path: string;
  /** Writes a version of a model. */
  add(model: string, version: number | string, program: string): Promise<string>;
  remove(model: string, version: number | string): Promise<void>;
}

/** Makes an empty folder for models. */
export async function modelFolder(): Promise<ModelFolder> {
  const path = await mkdtemp(join(tmpdir(), "faceid-models-"));
  return {
    path,
    add: async (model, version, program) => {
      const folder = join(path, model, String(version));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "program"), program);
      return folder;
    },
    remove: (model, version) => rm(join(path, model, String(version)), { recursive: true }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
