/** @file What a server answered: its JSON as it came, and whether it is an error. */

export interface Answer {
  /** `{"predictions": [[p]]}` or `{"error": "…"}`. */
  readonly text: string;
  readonly isError: boolean;
  /** The probability, where there is one. */
  readonly probability?: number;
}

/** An answer in the form that TensorFlow Serving's REST interface has. */
export function predictionsAnswer(probability: number): Answer {
  return { text: JSON.stringify({ predictions: [[probability]] }), isError: false, probability };
}

export function errorAnswer(message: string): Answer {
  return { text: JSON.stringify({ error: message }), isError: true };
}
