/** @file `npm run bench -- NAME [ARGUMENT…]` runs one bench; without a name it runs the three that take a few minutes. */
const BENCHES = {
  training: "rate of training steps, and the share of the time by operator",
  export: "time from a checkpoint to a SavedModel",
  listing: "time and memory to list and split a dataset of a million photographs [--people N]",
  "class-sampling":
    "training steps with a softmax over 110,000 people, some or all of them [--people N] [--samples N] [--network NAME] [--batch N]",
  sampling:
    "validation accuracy over processor time with drawn pairs and with all pairs of a batch [--people N] [--epochs N] [--seed N]",
  loading: "time and memory to load a SavedModel of 100 MB",
  start: "time, modules and bytes until a command answers [PHOTO OTHER]",
  peers:
    "training and inference beside Keras, OpenVINO and PyTorch [NETWORK [WORK]] [--batches 1,16,32] [--peers NAME,…] [--starts N]",
  "peers-photos":
    "photographs of LFW beside OpenCV's pipeline, dlib and face-api [--folds 1,2] [--only opencv,dlib] [--limit N]",
  photos:
    "photographs beside the engine alone, and two of 12 million pixels compared [--photographs N] [--rounds N]",
  pipeline: "images per second of the data pipeline, and the engine's share of the time [FOLDER OF LFW]",
  depthwise: "depthwise convolutions with and without the runtime's blocked operators",
  serving:
    "rates and latencies of the server beside its engine [--clients 1,8,32] [--rounds N] [--seconds N]",
  models:
    "milliseconds of an embedding and true accept rates of models beside each other: MODEL… [--folds 7,8] [--only time|rates]",
  "pack-calibration":
    "thresholds of the model pack from all pairs of LFW, written into src/verify [--cache FOLDER] [--shard I/N]",
  "pack-ranges": "ranges for SFace in 8-bit integers, written into src/faces",
  gallery:
    "enrolment, searches and memory of galleries [--people 10000,30000] [--postgres ADDRESS] [--do PARTS --keep]",
  "gallery-lfw":
    "identification by a gallery of LFW's people of whom one photograph is kept out [--folder FOLDER] [--every N]",
  "linear-search":
    "one search in a gallery beside face_recognition's compare_faces [--people N] [--gallery-lfw FOLDER] [--postgres ADDRESS] [--cache FOLDER]",
  cluster: "clusters of LFW beside its people, from the embeddings of pack-calibration [--cache FOLDER]",
  identification:
    "identification on an open set of LFW, from the embeddings of pack-calibration [--cache FOLDER]",
  latency:
    "latencies with and without the session for a lone request [--network NAME] [--int8] [--clients 1,64] [--rounds N]",
  "processor-time": "processor time of the server for one answer",
  soak: "memory and latency of the server under constant load [--minutes 10] [--output FOLDER]",
  siege:
    "memory, health and lost requests while one client attacks the server [PART OF AN ATTACK'S NAME, tiny or swaps]",
  faces:
    "accuracy, detections and time of the face pipeline on LFW [--folds 5,6,7,8] [--precision int8] [--detector FILE] [--limit N]",
  "face-points": "repeatability of the five landmarks, and detections of turned faces [--photographs N]",
  turned:
    "photographs that lie or stand on their head, beside themselves upright [--photographs N] [--precision int8] [--profile fast]",
  "private-mode": "how far the page's own figures are from the server's, on photographs of LFW [--people N]",
  "face-quality": "decisions on small, blurred, dark, pale and cut-off faces [--pairs N]",
  "face-scenes":
    "detections in large drawn scenes, and in pictures without a face [--scenes N] [--empty N] [--folds 7,8] [--detector FILE]",
  detector:
    "a face detector of our own, taught by the pack's: label, train or measure [--folder FOLDER] [--steps N] [--folds 7,8] [--limit N]",
  "ablation-parts": "what each part of a trained ensemble contributes: RUN PAIRS FOLDS",
  "ablation-training": "what each training setting contributes: DATASET PAIRS FOLDS [EPOCHS [LINE…]]",
} as const;

const DEFAULT: readonly (keyof typeof BENCHES)[] = ["training", "export", "loading"];

const [name] = process.argv.splice(2, 1);
if (name === undefined) {
  for (const bench of DEFAULT) await import(`./${bench}.ts`);
} else if (Object.hasOwn(BENCHES, name)) {
  await import(`./${name}.ts`);
} else {
  const lines = Object.entries(BENCHES).map(([bench, about]) => `  ${bench.padEnd(18)} ${about}`);
  console.error(["usage: npm run bench -- NAME [ARGUMENT…]", ...lines].join("\n"));
  process.exitCode = 2;
}
