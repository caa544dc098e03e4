/** @file The weights of a model pack's network as the variables of ours. */
import { readFile } from "node:fs/promises";
import { FaceError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { float32, type Tensor, type TensorMap } from "../base/tensor.ts";
import { openPack } from "../faces/models.ts";
import { isOp, topological } from "../graph/ops.ts";
import { networkNamed } from "../model/networks.ts";
import { readOnnx } from "../onnx/read/read.ts";

/** How the file calls what a layer keeps, and our name for it. */
const ROLES: readonly (readonly [inFile: RegExp, ours: string])[] = [
  [/^(.+)_conv2d_weight$/, "$1/kernel"],
  [/^(.+)_batchnorm_gamma$/, "$1_bn/gamma"],
  [/^(.+)_batchnorm_beta$/, "$1_bn/beta"],
  [/^(.+)_batchnorm_moving_mean$/, "$1_bn/moving_mean"],
  [/^(.+)_batchnorm_moving_var$/, "$1_bn/moving_variance"],
  [/^(.+)_relu_gamma$/, "$1_prelu/alpha"],
  [/^(bn1|fc1)_(gamma|beta|moving_mean)$/, "$1/$2"],
  [/^(bn1|fc1)_moving_var$/, "$1/moving_variance"],
  [/^(pre_fc1)_weight$/, "$1/kernel"],
  [/^(pre_fc1)_bias$/, "$1/bias"],
];

function ourName(label: string): string | undefined {
  const plain = label.replace(/_quantized$/, "");
  const role = ROLES.find(([inFile]) => inFile.test(plain));
  return role && plain.replace(role[0], role[1]);
}

/** Side of the image that remains before the dense layer, at the pack's size. */
const LAST_SIDE = 7;

/** The file's `[out, in · height · width]` as `[height, width, in, out]`, or as `[in, 1 …]` of a depthwise convolution. */
function convolution(values: Float32Array, out: number, isDepthwise: boolean): Tensor {
  const field = isDepthwise ? values.length / out : 0;
  const side = isDepthwise || values.length / out === 27 ? 3 : 1;
  const area = side * side;
  const channels = isDepthwise ? field / area : values.length / out / area;
  const kernel = new Float32Array(values.length);
  for (let o = 0; o < out; o++)
    for (let c = 0; c < channels; c++)
      for (let at = 0; at < area; at++)
        kernel[(at * channels + c) * out + o] = values[(o * channels + c) * area + at]!;
  return float32([side, side, channels, out], kernel);
}

/** The file's `[out, channels · height · width]` for images that we flatten with their channels last. */
function denseKernel(values: Float32Array, out: number): Tensor {
  const area = LAST_SIDE * LAST_SIDE;
  const length = values.length / out;
  const channels = length / area;
  const kernel = new Float32Array(values.length);
  for (let o = 0; o < out; o++)
    for (let c = 0; c < channels; c++)
      for (let at = 0; at < area; at++)
        kernel[(at * channels + c) * out + o] = values[o * length + c * area + at]!;
  return float32([length, out], kernel);
}

function asOurs(name: string, { shape, data }: Tensor): Tensor {
  const values = Float32Array.from(data as Float32Array);
  if (name === "pre_fc1/kernel") return denseKernel(values, shape[0]!);
  if (name.endsWith("/kernel")) return convolution(values, shape[0]!, name.includes("_dw/"));
  return float32([values.length], values);
}

/**
 * SFace's weights under our names, out of its ONNX file.
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not SFace.
 */
export function sfaceWeights(file: Uint8Array): TensorMap {
  const { outputs } = readOnnx(file, { what: "the face embedding" });
  const weights = new Map<string, Tensor>();
  for (const node of topological(Object.values(outputs))) {
    const name = isOp(node, "constant") && node.label !== undefined ? ourName(node.label) : undefined;
    if (name !== undefined && isOp(node, "constant")) weights.set(name, asOurs(name, node.attrs.value));
  }
  return weights;
}

/**
 * The trained weights that a network starts from; empty for one that starts at random. The pack is fetched first where it
 * is missing.
 * @throws FaceError `CONFIG_INVALID` for images of another size; as `openPack` does.
 */
export async function pretrainedWeights(
  network: string,
  [height, width]: readonly number[],
  log: Log,
): Promise<TensorMap> {
  const { pretrained } = networkNamed(network);
  if (pretrained === undefined) return new Map();
  const side = 16 * LAST_SIDE;
  if (height !== side || width !== side) {
    throw new FaceError(
      "CONFIG_INVALID",
      `the network ${network} takes images of ${side}x${side}, got ${height}x${width}`,
      {
        hint: `leave out \`imageShape\`, or set it to ${side}x${side}`,
      },
    );
  }
  const { files } = await openPack(pretrained, { log });
  return sfaceWeights(await readFile(files.embedding));
}
