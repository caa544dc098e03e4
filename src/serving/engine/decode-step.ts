/** @file Decoding in front of a graph that would decode image files itself: files into the images it goes on from. */
import { float32, type Tensor, type TensorMap } from "../../base/tensor.ts";
import { decodePixels, imageFormat } from "../../image/decode.ts";
import { resizeInto } from "../../image/resize.ts";
import { type ImageSettings, imageSize } from "../../image/settings.ts";
import type { GraphDef } from "../../proto/tensorflow/graph_pb.ts";
import { matchDecodeLoops } from "../../savedmodel/read/match-decode-loop.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { allOf, holding, type RequestMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";
import { decodeInTurn } from "./decode-in-turn.ts";
import { MOST_PIXELS } from "./image-input.ts";
import type { InputStep } from "./input-step.ts";

/** What the loop in the graph makes of files; upright photographs come out as in training, to rounding. */
async function imagesOf(
  alias: string,
  { shape, data }: Tensor,
  settings: ImageSettings,
  memory: RequestMemory | undefined,
): Promise<Tensor> {
  if (shape.length !== 1) {
    throw invalidArgument(`${alias} takes a list of JPEG or PNG files, got shape [${shape.join(",")}]`);
  }
  const files = data as readonly Uint8Array[];
  const size = imageSize(settings);
  const images = memory?.array("float32", files.length * size) ?? new Float32Array(files.length * size);
  const work = files.map(async (file, index) => {
    const format = imageFormat(file);
    if (format !== "jpeg" && format !== "png") {
      throw invalidArgument(`${alias}, file ${index}: neither JPEG nor PNG`);
    }
    const options = { maxPixels: MOST_PIXELS, orient: false, storedColours: true };
    await decodeInTurn(async () =>
      resizeInto(await decodePixels(file, options), settings, images, index * size),
    );
  });
  await holding(memory, () => allOf(work));
  return float32([files.length, settings.height, settings.width, settings.channels], images);
}

/** The decoding in front of a signature, or `undefined` where its inputs are no image files. */
export function photographStep(graph: GraphDef, declared: Signature): InputStep | undefined {
  const found = matchDecodeLoops(graph, declared);
  if (found === undefined) return undefined;
  const { signature, sizes } = found;
  return {
    signature,
    parse: async (given: TensorMap, memory?: RequestMemory) =>
      new Map(
        await Promise.all(
          [...sizes].map(
            async ([alias, size]): Promise<[string, Tensor]> => [
              alias,
              await imagesOf(alias, given.get(alias)!, { ...size, channels: 3 }, memory),
            ],
          ),
        ),
      ),
  };
}
