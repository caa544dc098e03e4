/** @file Runs a session pool for a request, so that inputs which do not fit are the client's error. */
import { FaceError } from "../../base/errors.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { SessionPool } from "../../onnx/runtime/session-pool.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import { StatusError } from "../status.ts";

/** Priority below the thread that talks to clients: its work is short and keeps the sessions busy. */
export const NICENESS = 5;

export type Shapes = ReadonlyMap<string, readonly number[]>;

/** The shapes of inputs by name. */
export function shapesOf(inputs: TensorMap): Shapes {
  return new Map([...inputs].map(([name, { shape }]) => [name, shape]));
}

/** Whether inputs have the shapes that a signature declares; an unknown rank fits any shape. */
export function fits({ inputs }: Signature, shapes: Shapes): boolean {
  return [...inputs].every(([name, { shape: wanted }]) => {
    const given = shapes.get(name) ?? [];
    return (
      wanted === undefined ||
      (wanted.length === given.length && wanted.every((side, axis) => side < 0 || side === given[axis]))
    );
  });
}

/** The error message for shapes that do not fit: for each input the declared and the given one. */
export function misfitText({ inputs }: Signature, shapes: Shapes): string {
  const parts = [...inputs].map(([name, { shape }]) => {
    const wanted = shape === undefined ? "any shape" : `[${shape.join(",")}]`;
    return `${name} takes ${wanted}, got [${(shapes.get(name) ?? []).join(",")}]`;
  });
  return `Shapes do not fit the model: ${parts.join("; ")}`;
}

const REFUSED = "The model cannot run on these inputs";
/** Colours of a terminal and other control characters; spaces stand for ends of lines. */
const CONTROL = /\p{Cc}\[[0-9;]*m|(?!\s)\p{Cc}/gu;
/** A place in the runtime's sources. */
const SOURCE_PLACE = /\.(?:cc|cpp|cu|h|hpp):\d+/;

/** What the runtime says of inputs that it refuses, without names of nodes and places in its sources. */
export function refusalText(message: string): string {
  const [, status = message] = /Status Message: (.*)/s.exec(message) ?? [];
  const text = status.replaceAll(CONTROL, "").replaceAll(/\s+/g, " ").trim();
  return text === "" || SOURCE_PLACE.test(text) || /\bnode\b|Name:'/.test(text)
    ? `${REFUSED}.`
    : `${REFUSED}: ${text}`;
}

/** A text of the runtime with a signature's own names of inputs. @param names those of the model, by the signature's own. */
function withOwnNames(text: string, names: ReadonlyMap<string, string>): string {
  const own = new Map([...names].map(([alias, name]) => [name, alias]));
  return text.replaceAll(/\binput\/\d+/g, (name) => own.get(name) ?? name);
}

/**
 * @param names names of inputs in the model, by those that the client knows, where they differ.
 * @throws StatusError `INVALID_ARGUMENT` with the runtime's reason when it refuses the inputs.
 */
export async function runSession(
  pool: SessionPool,
  inputs: TensorMap,
  outputNames: readonly string[],
  names: ReadonlyMap<string, string> = new Map(),
): Promise<TensorMap> {
  try {
    return await pool.run(inputs, outputNames);
  } catch (error) {
    if (error instanceof FaceError && error.code === "MODEL_UNSUPPORTED") {
      throw new StatusError("INVALID_ARGUMENT", withOwnNames(refusalText(error.message), names), {
        cause: error,
      });
    }
    throw error;
  }
}
