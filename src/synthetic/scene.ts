/** @file The scene of one photograph: head, hair, body, background and light, rendered ray by ray. */
import { Random } from "../base/random.ts";
import type { Circumstances, Light, Surroundings } from "./circumstances.ts";
import { Face, paintGlasses } from "./face.ts";
import { type Vector, View, vector } from "./geometry.ts";
import { Hair } from "./hair.ts";
import { Ear, Head, HeightMap } from "./head.ts";
import { Noise, Paint, type Rgb, smooth } from "./paint.ts";
import type { Person } from "./person.ts";

/** Light that is scattered around an edge, as in skin. */
const WRAP = 0.12;

/** The light of a photograph, as seen from the turned head. */
export class Lamp {
  readonly #light: Light;
  /** Unit vector towards the light. */
  readonly towards: Vector;
  /** Halfway between light and viewer. */
  readonly #half: Vector;

  constructor(light: Light, towards: Vector, viewer: Vector) {
    this.#light = light;
    this.towards = towards;
    const [x, y, z] = [towards.x + viewer.x, towards.y + viewer.y, towards.z + viewer.z];
    const length = Math.hypot(x, y, z);
    this.#half = { x: x / length, y: y / length, z: z / length };
  }

  /**
   * Turns the colour of a surface into the light that reaches the camera.
   * @param lit 1 in full light, 0 in shadow
   * @param open 1 under the open sky, less in a hollow
   * @param gloss specular reflection
   */
  shine(paint: Paint, normal: Vector, lit: number, open: number, gloss: number): void {
    const { towards } = this;
    const { colour, ambient } = this.#light;
    const facing = normal.x * towards.x + normal.y * towards.y + normal.z * towards.z;
    const direct = (Math.max(0, facing + WRAP) / (1 + WRAP)) * lit;
    const half = this.#half;
    const mirror = Math.max(0, normal.x * half.x + normal.y * half.y + normal.z * half.z);
    const squared = mirror * mirror;
    const fourth = squared * squared;
    const glint = gloss * lit * fourth * fourth * fourth * fourth;
    paint.r = paint.r * (direct * colour[0] + ambient[0] * open) + glint * colour[0];
    paint.g = paint.g * (direct * colour[1] + ambient[1] * open) + glint * colour[1];
    paint.b = paint.b * (direct * colour[2] + ambient[2] * open) + glint * colour[2];
  }
}

const NECK_RADIUS = 0.4;

/** Background colour at a point of the image, in head units from the centre. */
export function paintBackground(around: Surroundings, noise: Noise, x: number, y: number, out: Paint): void {
  const blotch = noise.at(x * 1.4 + around.seed, y * 1.4);
  const share = Math.max(0, Math.min(1, 0.5 + 0.4 * y + 0.5 * blotch));
  out.set(around.top);
  out.cover(around.bottom, share);
  // Blurred edges, as of doors, shelves and trees.
  const shape = noise.at(x * 2.3 + 17, y * 0.9 + around.seed);
  out.scale(1 + 0.45 * smooth(0.1, 0.2, shape) - 0.35 * smooth(0.25, 0.35, -shape));
}

/** Neck and clothes below the head. */
export class Body {
  readonly #around: Surroundings;
  readonly #skin: Rgb;
  readonly #noise: Noise;
  readonly #chinY: number;
  readonly normal = { x: 0, y: 0, z: 1 };

  constructor(around: Surroundings, skin: Rgb, chinY: number, noise: Noise) {
    this.#around = around;
    this.#skin = skin;
    this.#chinY = chinY;
    this.#noise = noise;
  }

  /**
   * Paints the body.
   * @param x head units from the neck's middle
   * @returns how much of the background it covers
   */
  paint(x: number, y: number, soft: number, out: Paint): number {
    const side = Math.abs(x);
    const beyond = Math.max(0, side - NECK_RADIUS);
    const shoulder = this.#around.collar + 0.5 * beyond * Math.sqrt(beyond);
    const neckline = this.#around.neckline * Math.max(0, 1 - side / NECK_RADIUS);
    const cloth = Math.max(0, Math.min(1, 0.5 + (y - shoulder - neckline) / soft));
    const neck = Math.max(0, Math.min(1, 0.5 + (NECK_RADIUS - side) / soft)) * smooth(0, 0.02, y);
    if (cloth === 0 && neck === 0) return 0;
    const bend = Math.max(-0.98, Math.min(0.98, x / (cloth > 0.5 ? 1.3 : NECK_RADIUS)));
    this.normal.x = bend;
    this.normal.z = Math.sqrt(1 - bend * bend);
    out.set(this.#skin);
    out.scale(0.55 + 0.35 * smooth(this.#chinY, this.#chinY + 0.35, y));
    const weave = 1 + 0.15 * this.#noise.at(x * 5 + this.#around.seed, y * 5);
    out.coverScaled(this.#around.clothes, weave, cloth);
    return Math.max(neck, cloth);
  }
}

/** Shine of hair and cloth. */
const HAIR_GLOSS = 0.06;
/** The plane of the glasses. */
const GLASSES_Z = 0.9;

/** Distances towards the light at which shadows are tested. */
const SHADOW_STEPS = [0.07, 0.14, 0.22];

/** All parts of one photograph, and the rendering of a ray through them. */
export class Scene {
  readonly #person: Person;
  readonly #what: Circumstances;
  readonly #soft: number;
  readonly #noise: Noise;
  readonly #backdrop: Noise;
  readonly #view: View;
  readonly #along: Vector;
  readonly #from = vector();
  readonly #heights: HeightMap;
  readonly #head: Head;
  readonly #face: Face;
  readonly #hair: Hair;
  readonly #ears: readonly Ear[];
  readonly #body: Body;
  readonly #lamp: Lamp;
  readonly #bodyLamp: Lamp;
  readonly #layer = new Paint();
  /** The light of the last ray. */
  readonly seen = new Paint();

  constructor(person: Person, what: Circumstances, grain: Random, soft: number) {
    const { direction } = what.light;
    const [lx, ly, lz] = direction;
    this.#person = person;
    this.#what = what;
    this.#soft = soft;
    this.#noise = new Noise(grain.fork("grain"));
    this.#backdrop = new Noise(new Random(what.surroundings.seed));
    this.#view = new View(what.pose);
    this.#along = this.#view.toHead(0, 0, 1, vector());
    this.#heights = new HeightMap(person, what.expression);
    this.#head = new Head(person.head, this.#heights);
    this.#face = new Face(person, what.expression, what.hair, soft, this.#noise);
    this.#ears = [-1, 1].map((side) => new Ear(person.head, person.skin.colour, side));
    this.#hair = new Hair(person, what.hair, this.#noise);
    this.#body = new Body(what.surroundings, person.skin.colour, person.head.chinY, this.#backdrop);
    this.#lamp = new Lamp(what.light, this.#view.toHead(lx, ly, lz, vector()), this.#along);
    this.#bodyLamp = new Lamp(what.light, { x: lx, y: ly, z: lz }, { x: 0, y: 0, z: 1 });
  }

  /** Paints a point of the image from back to front; x and y in head units. */
  trace(x: number, y: number): void {
    const from = this.#view.toHead(x, y, 0, this.#from);
    const skin = this.#head.meet(from, this.#along);
    const edge = skin ? Math.min(1, this.#head.rim / this.#soft) : 0;
    if (edge < 1) this.#behind(x, y, from);
    if (edge > 0) this.#skin(edge);
    this.#strands(from, false);
    if (this.#what.glasses !== undefined && this.#along.z > 0.5) this.#glasses(from);
  }

  #behind(x: number, y: number, from: Vector): void {
    const { seen } = this;
    paintBackground(this.#what.surroundings, this.#backdrop, x, y, seen);
    this.#strands(from, true);
    const layer = this.#layer;
    // The neck stays behind the chin when the head turns.
    const body = this.#body.paint(x + 0.25 * this.#along.x, y, this.#soft, layer);
    if (body > 0) {
      this.#bodyLamp.shine(layer, this.#body.normal, 1, 0.8, 0);
      seen.coverWith(layer, body);
    }
    for (const ear of this.#ears) {
      if (!ear.meet(from, this.#along)) continue;
      ear.paint(layer);
      this.#lamp.shine(layer, ear.normal, 1, 0.8, 0);
      seen.coverWith(layer, 1);
    }
  }

  #skin(edge: number): void {
    const { point, normal } = this.#head;
    const layer = this.#layer;
    this.#face.paint(point.x, point.y, layer);
    const lit = this.#shadow(point);
    this.#heights.look(point.x, point.y);
    // Hollows see less of the sky than ridges do.
    const open = Math.max(0.6, Math.min(1.1, 1 + 2 * this.#heights.height));
    this.#lamp.shine(layer, normal, lit, open, this.#what.light.gloss);
    this.seen.coverWith(layer, edge);
  }

  /** Fraction of the light that reaches a point of the face past nose, brows and cheeks. */
  #shadow(point: Vector): number {
    const { towards } = this.#lamp;
    const heights = this.#heights;
    const height = heights.heightAt(point.x, point.y);
    let lit = 1;
    for (const step of SHADOW_STEPS) {
      const there = heights.heightAt(point.x + towards.x * step, point.y + towards.y * step);
      const above = there - height - towards.z * step;
      lit = Math.min(lit, 1 - Math.max(0, Math.min(1, above / 0.05)));
    }
    // Ambient light keeps the shadow of the nose from being black.
    return 0.35 + 0.65 * lit;
  }

  #strands(from: Vector, far: boolean): void {
    const hair = this.#hair;
    const cover = hair.meet(from, this.#along, far, this.#soft);
    if (cover === 0) return;
    const layer = this.#layer;
    hair.paint(layer);
    if (far) layer.scale(0.55);
    this.#lamp.shine(layer, hair.normal, 1, 0.9, far ? 0 : HAIR_GLOSS);
    this.seen.coverWith(layer, cover);
  }

  #glasses(from: Vector): void {
    const { glasses, light } = this.#what;
    if (glasses === undefined) return;
    const t = (GLASSES_Z - from.z) / this.#along.z;
    const x = from.x + t * this.#along.x;
    const y = from.y + t * this.#along.y;
    paintGlasses(glasses, this.#person.eyes, x, y, this.#soft, 0.6 + light.ambient[1], this.seen);
  }
}
