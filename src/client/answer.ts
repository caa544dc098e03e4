/** @file What a server answered: its JSON as it came, and whether it is an error. */

export interface Answer {
  /** `{"predictions": [[p]]}` or `{"error": "…"}`. */
  readonly text: string;
  readonly isError: boolean;
  /** The probability, where there is one. */
  readonly probability?: number;
}

/** JSON on one line, `{"predictions": [[p]]}`, with every number and text as the server wrote it. */
export function onOneLine(json: string): string {
  return json.replaceAll(
    /("(?:[^"\\]|\\.)*")|\s+|([:,])/g,
    (_, text: string | undefined, mark: string | undefined) => text ?? (mark === undefined ? "" : `${mark} `),
  );
}

/** An answer in the form that TensorFlow Serving's REST interface has. */
export function predictionsAnswer(probability: number): Answer {
  return { text: onOneLine(JSON.stringify({ predictions: [[probability]] })), isError: false, probability };
}

export function errorAnswer(message: string): Answer {
  return { text: onOneLine(JSON.stringify({ error: message })), isError: true };
}
