/** @file The names of the subcommands, with what each does. */

/** The subcommands, as the list of commands shows them. */
export const SUMMARIES = {
  quickstart: "train, measure, export, serve and ask, on drawn faces, in about two minutes",
  train: "train a verifier on a folder of people, measure and export it",
  evaluate: "measure a model on held-out people, or on the people of any folder",
  calibrate: "choose a model's thresholds on your own people",
  report: "measure a model and write a report as one HTML page",
  export: "freeze a checkpoint and write it as a SavedModel",
  verify: "say whether two photographs show one person, without a server",
  faces: "list and draw all faces of photographs",
  crop: "cut the faces out of a dataset's photographs",
  embed: "embed the faces of a folder's photographs into one file",
  cluster: "sort an album into people",
  app: "open a page: compare photographs, keep people, see who somebody is",
  gallery: "keep people, and say who is on a photograph",
  serve: "serve models over TensorFlow Serving's REST and gRPC protocols, with its flags in either spelling",
  keys: "add, list or revoke the API keys that a server takes",
  request: "ask a server whether two photographs show one person",
  dataset: "count, show, draw or download datasets",
  summary: "list a model's layers with their shapes, parameters and connections",
  plot: "draw a model: its layers, their shapes, and how they are connected",
  inspect: "print a model's signatures, operations and parameters",
  quantize: "write an exported model in 8-bit integers or half precision, to serve",
  convert: "write a SavedModel as an ONNX file, or as a SavedModel with constants for variables",
  models: "list, add or remove model packs: the pretrained networks",
} as const;

export const COMMAND_NAMES: readonly string[] = Object.keys(SUMMARIES);
