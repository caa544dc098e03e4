/** @file What the page and the thread that compares say to each other. */
import type { Landmarks } from "../../../src/faces/face.ts";
import type { MeantFace } from "../../../src/faces/meant-face.ts";
import type { Engine } from "./engine.ts";

/** Where the thread finds what it needs. */
export interface Setup {
  /** Path of `onnxruntime-web` on the server. */
  readonly runtime: string;
  /** Addresses of the pack's files. */
  readonly detector: string;
  readonly embedding: string;
  /** Bytes of both files. */
  readonly bytes: number;
  readonly key: string | undefined;
}

/** The face of a photograph that is meant, with its embedding of length 1. */
export interface ComparableFace extends MeantFace {
  readonly embedding: Float32Array;
}

export type ToThread =
  | { readonly kind: "setup"; readonly setup: Setup }
  | { readonly kind: "face"; readonly id: number; readonly photo: Blob; readonly what: string }
  /** Asks for the points of all faces. */
  | { readonly kind: "look"; readonly id: number; readonly photo: Blob };

export type FromThread =
  /** What part of the files is here, 0 to 1. */
  | { readonly kind: "loading"; readonly part: number }
  /** What computes, and how far a graphics processor was from WebAssembly. */
  | { readonly kind: "ready"; readonly engine: Engine; readonly distance: number | undefined }
  | { readonly kind: "face"; readonly id: number; readonly face: ComparableFace }
  | { readonly kind: "looked"; readonly id: number; readonly faces: readonly Landmarks[] }
  | { readonly kind: "failed"; readonly id: number; readonly code: string; readonly message: string };
