/** @file Requests in protobuf's JSON, as the official client takes them, and the answers it should bring. */

/** One call of the official client. */
export interface Call {
  readonly rpc: string;
  readonly request?: unknown;
  readonly timeout?: number;
  /** Inputs made by tf.make_tensor_proto. */
  readonly made?: Readonly<Record<string, { dtype: string; shape: number[]; values: unknown[] }>>;
  readonly random?: Readonly<Record<string, number[]>>;
}

export const spec = (name: string, signatureName = "", more: object = {}) => ({
  modelSpec: { name, signatureName, ...more },
});
export const shape = (...sides: number[]) => ({ dim: sides.map((size) => ({ size })) });
export const base64 = (bytes: ArrayBufferView) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
export const example = (values: Readonly<Record<string, readonly number[]>>) => ({
  features: {
    feature: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, { floatList: { value } }]),
    ),
  },
});
export const examples = (...list: object[]) => ({ input: { exampleList: { examples: list } } });
export const float = (values: readonly number[], sides: readonly number[] = [values.length]) => ({
  dtype: "float32",
  shape: sides,
  values,
});

export const predict = (request: object, more: Partial<Call> = {}): Call => ({
  rpc: "Predict",
  request,
  ...more,
});
/** Predict's request for half_plus_two. */
export const x = (tensor: object) => ({
  ...spec("half_plus_two"),
  inputs: { x: { dtype: "DT_FLOAT", ...tensor } },
});
export const answer = (
  arrays: object,
  name = "half_plus_two",
  version = "123",
  signatureName = "serving_default",
) => ({ arrays, spec: { name, version, signatureName } });
export const failure = (code: string, details: string) => ({ code, details });

export const spoken = (name: string, signatureName: string) => ({ name, version: "123", signatureName });
export const result = (...values: number[]) => ({ regressions: values.map((value) => ({ value })) });
export const regress = (name: string, signature: string, input: object): Call => ({
  rpc: "Regress",
  request: { ...spec(name, signature), ...input },
});

/** [what, call, what must come back] */
export type Case = readonly [string, Call, unknown];
