/** @file The thread that draws training pictures and their targets, a batch at a time. */
import { Moved, serveCalls } from "../../src/base/worker-client.ts";
import { writePlanes } from "../../src/faces/network.ts";
import { type SharedPhotographs, viewPhotographs } from "./photographs.ts";
import { drawScene } from "./scenes.ts";
import { emptyTargets, type Targets, writeTargets } from "./targets.ts";

export interface SceneThread {
  readonly photographs: SharedPhotographs;
  /** Pictures of a batch, and their side. */
  readonly batch: number;
  readonly side: number;
  readonly seed: number;
}

/** A batch of pictures as the network takes them. */
export interface SceneBatch extends Targets {
  /** `[pictures, 3, side, side]` */
  readonly planes: Float32Array;
}

export interface SceneCalls {
  /** The batch of a step, counted from 1. */
  draw(step: number): SceneBatch;
}

serveCalls<SceneCalls, SceneThread>(({ photographs, batch, side, seed }) => {
  const view = viewPhotographs(photographs);
  return {
    draw(step) {
      const planes = new Float32Array(batch * 3 * side * side);
      const targets = emptyTargets(batch, side);
      for (let i = 0; i < batch; i++) {
        const { pixels, faces } = drawScene(view, side, seed, (step - 1) * batch + i);
        const place = { planes, offset: i * 3 * side * side, stride: side, size: side * side };
        writePlanes(pixels, "bgr", false, place);
        writeTargets(targets, i, side, faces);
      }
      const answer: SceneBatch = { planes, ...targets };
      return new Moved(
        answer,
        Object.values(answer).map(({ buffer }) => buffer as ArrayBuffer),
      );
    },
  };
});
