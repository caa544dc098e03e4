/** @file Everything that is in one picture, and what a ray of sight meets in it. */
import { Random } from "../base/random.ts";
import type { Circumstances } from "./circumstances.ts";
import { Paint } from "./colour.ts";
import { Ear } from "./ear.ts";
import { type Vector, vector } from "./egg.ts";
import { Face } from "./face.ts";
import { paintGlasses } from "./glasses.ts";
import { Hair } from "./hair.ts";
import { Head } from "./head.ts";
import { Lamp } from "./light.ts";
import { Noise } from "./noise.ts";
import type { Person } from "./person.ts";
import { Relief } from "./relief.ts";
import { Body, paintBackground } from "./surroundings.ts";
import { View } from "./view.ts";

/** Shine of hair and cloth. */
const HAIR_GLOSS = 0.06;
/** The plane of the glasses. */
const GLASSES_Z = 0.9;

/** Distances towards the light at which something may stand in its way. */
const SHADOW_STEPS = [0.07, 0.14, 0.22];

/** Everything that is in one picture, and how a ray through it is painted. */
export class Scene {
  readonly #person: Person;
  readonly #what: Circumstances;
  readonly #soft: number;
  readonly #noise: Noise;
  readonly #backdrop: Noise;
  readonly #view: View;
  readonly #along: Vector;
  readonly #from = vector();
  readonly #relief: Relief;
  readonly #head: Head;
  readonly #face: Face;
  readonly #hair: Hair;
  readonly #ears: readonly Ear[];
  readonly #body: Body;
  readonly #lamp: Lamp;
  readonly #bodyLamp: Lamp;
  readonly #layer = new Paint();
  /** The light that comes along the last ray. */
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
    this.#relief = new Relief(person, what.expression);
    this.#head = new Head(person.head, this.#relief);
    this.#face = new Face(person, what.expression, what.hair, soft, this.#noise);
    this.#ears = [-1, 1].map((side) => new Ear(person.head, person.skin.colour, side));
    this.#hair = new Hair(person, what.hair, this.#noise);
    this.#body = new Body(what.surroundings, person.skin.colour, person.head.chinY, this.#backdrop);
    this.#lamp = new Lamp(what.light, this.#view.toHead(lx, ly, lz, vector()), this.#along);
    this.#bodyLamp = new Lamp(what.light, { x: lx, y: ly, z: lz }, { x: 0, y: 0, z: 1 });
  }

  /** Paints what is seen at a place of the picture, from back to front; x and y in head units. */
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
    // The neck stands behind the chin when the head turns.
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
    this.#relief.look(point.x, point.y);
    // Hollows see less of the sky than ridges do.
    const open = Math.max(0.6, Math.min(1.1, 1 + 2 * this.#relief.height));
    this.#lamp.shine(layer, normal, lit, open, this.#what.light.gloss);
    this.seen.coverWith(layer, edge);
  }

  /** How much light reaches a point of the face past nose, brows and cheeks. */
  #shadow(point: Vector): number {
    const { towards } = this.#lamp;
    const relief = this.#relief;
    const height = relief.heightAt(point.x, point.y);
    let lit = 1;
    for (const step of SHADOW_STEPS) {
      const there = relief.heightAt(point.x + towards.x * step, point.y + towards.y * step);
      const above = there - height - towards.z * step;
      lit = Math.min(lit, 1 - Math.max(0, Math.min(1, above / 0.05)));
    }
    // Rooms are bright enough that no shadow of a nose is black.
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
