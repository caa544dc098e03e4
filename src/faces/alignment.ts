/** @file How a face must lie in a model's image, and the similarity that puts it there. */
import { FaceError } from "../base/errors.ts";
import type { Detection, Landmarks, Point } from "./face.ts";
import { compose, fitSimilarity, invert, type Similarity, similarityAbout } from "./similarity.ts";

/** The form of a crop: five points on a template, or a square around the face. */
export type Framing =
  | {
      /** The five points lie as near as a similarity can bring them to a template. */
      readonly kind: "aligned";
      /** Default `arcface`. */
      readonly template?: Template;
      /** Above 1 the face is smaller and more of its surroundings is seen. Default 1. */
      readonly margin?: number;
    }
  | {
      /** The upright face in the middle of a square that is the face's box enlarged. */
      readonly kind: "centred";
      /** Side of the square in sides of the face's box, the geometric mean of its width and height. */
      readonly factor: number;
    };

/** Where the five points of a face should lie: `arcface`'s narrow crop, or as in the whole photographs of `lfw`. */
export type Template = "arcface" | "lfw";

/** A framing as a model's description names it. */
export type NamedFraming =
  | { readonly kind: "aligned"; readonly template: string; readonly side: number }
  | { readonly kind: "centred"; readonly enlarge: number }
  | { readonly kind: "none" };

const TEMPLATES: readonly Template[] = ["arcface", "lfw"];

/**
 * How a crop of a side is cut out for a description's framing.
 * @returns `undefined` where it cannot be: there is no framing, no such template, or it is for images of another side.
 */
export function framingFrom(named: NamedFraming, side: number): Framing | undefined {
  if (named.kind === "centred") return { kind: "centred", factor: named.enlarge };
  const template =
    named.kind === "aligned" && named.side === side
      ? TEMPLATES.find((each) => each === named.template)
      : undefined;
  return template === undefined ? undefined : { kind: "aligned", ...(template === "lfw" && { template }) };
}

/** The description's terms for the framing of crops of a side. */
export const framingName = (framing: Framing, side: number): NamedFraming =>
  framing.kind === "centred"
    ? { kind: "centred", enlarge: framing.factor }
    : { kind: "aligned", template: framing.template ?? "arcface", side };

/** A description's framing in words. */
export const framingText = (named: NamedFraming): string =>
  named.kind === "aligned"
    ? `the template ${named.template} of ${named.side} pixels`
    : `${named.kind === "none" ? "no" : "the centred"} framing`;

/** LFW's own framing, for models that were trained on its photographs. */
export const LFW_FRAMING: Framing = { kind: "aligned", template: "lfw" };

/**
 * Sides of the face's box in a side of LFW's photographs, which have 250 pixels: the boxes by our detector have 109
 * (median of 3,074 photographs; 10 % have less than 101, 10 % more than 118).
 */
export const LFW_ENLARGEMENT = 2.29;

/** ArcFace's template for 112×112 pixels (Deng et al., 2019, and the code published with it). */
const ARCFACE: Landmarks = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

const ARCFACE_SIDE = 112;

/**
 * Where our detector finds the points in LFW's deep-funneled photographs: means over 880 of them, every twelfth, with
 * standard deviations of 2.5 to 6.6 pixels.
 */
const LFW: Landmarks = [
  [103.42, 113.359],
  [146.395, 111.806],
  [125.368, 137.415],
  [108.138, 157.295],
  [144.703, 156.381],
];

const LFW_SIDE = 250;

/** LFW's points in a photograph that is scaled to a side as `decodeImage` does: the corners stay where they are. */
function lfwTemplate(side: number): Landmarks {
  const place = ([x, y]: Point): Point => [
    ((x + 0.5) * side) / LFW_SIDE - 0.5,
    ((y + 0.5) * side) / LFW_SIDE - 0.5,
  ];
  const [a, b, c, d, e] = LFW;
  return [place(a), place(b), place(c), place(d), place(e)];
}

/**
 * Where the five points lie in an aligned crop. Sides that are multiples of 128 have the face of 112 pixels an eighth
 * further in, as is the custom with this template; any other side is the template scaled.
 */
export function templateOf(side: number, template: Template = "arcface"): Landmarks {
  if (template === "lfw") return lfwTemplate(side);
  const wide = side % 128 === 0;
  const scale = side / (wide ? 128 : ARCFACE_SIDE);
  const place = ([x, y]: Point): Point => [(x + (wide ? 8 : 0)) * scale, y * scale];
  const [a, b, c, d, e] = ARCFACE;
  return [place(a), place(b), place(c), place(d), place(e)];
}

/** The similarity from the photograph to a template of a side, ArcFace's of 112 pixels when left out. */
export function alignTo(landmarks: Landmarks, side = ARCFACE_SIDE, template?: Template): Similarity {
  const fitted = fitSimilarity(landmarks, templateOf(side, template));
  if (fitted === undefined) {
    throw new FaceError("INTERNAL", `internal: five points of a face have no extent: ${landmarks.join(" ")}`);
  }
  return fitted;
}

const middle = (side: number) => (side - 1) / 2;

function centre(
  { box: [x, y, width, height], landmarks }: Detection,
  side: number,
  factor: number,
): Similarity {
  const { a, b } = alignTo(landmarks);
  const scale = side / (factor * Math.sqrt(width * height));
  // A box's edges lie between pixels, half a pixel before the first one's centre.
  const from: Point = [x + width / 2 - 0.5, y + height / 2 - 0.5];
  return similarityAbout(from, [middle(side), middle(side)], scale, Math.atan2(b, a));
}

/**
 * The similarity that takes a square crop's pixels to those of the photograph.
 * @param side of the crop in pixels.
 */
export function cropOf(face: Detection, framing: Framing, side: number): Similarity {
  if (framing.kind === "centred") return invert(centre(face, side, framing.factor));
  const aligned = alignTo(face.landmarks, side, framing.template);
  const { margin = 1 } = framing;
  if (margin === 1) return invert(aligned);
  const about: Point = [middle(side), middle(side)];
  return invert(compose(aligned, similarityAbout(about, about, 1 / margin, 0)));
}
