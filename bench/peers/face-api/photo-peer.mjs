/** @file face-api's side of bench/peers-photos.ts: paths on standard input, answers as photo_peer.py; tfjs on WebAssembly. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import sharp from "sharp";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");

wasm.setWasmPaths(
  `${dirname(require.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm"))}/`,
);
wasm.setThreadsCount(Number(process.env.OMP_NUM_THREADS ?? 1));
await tf.setBackend("wasm");
await tf.ready();
const models = join(dirname(require.resolve("@vladmandic/face-api/package.json")), "model");
for (const net of ["ssdMobilenetv1", "faceLandmark68Net", "faceRecognitionNet"]) {
  await faceapi.nets[net].loadFromDisk(models);
}
const options = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.5, maxResults: 10 });

/** The descriptor of the face nearest the middle. */
async function run(path) {
  const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const image = tf.tensor3d(new Int32Array(data), [info.height, info.width, 3], "int32");
  const faces = await faceapi.detectAllFaces(image, options).withFaceLandmarks().withFaceDescriptors();
  image.dispose();
  const distance = ({ detection: { box } }) =>
    Math.hypot(box.x + box.width / 2 - info.width / 2, box.y + box.height / 2 - info.height / 2);
  const [face] = faces.toSorted((a, b) => distance(a) - distance(b));
  return face === undefined ? null : [...face.descriptor];
}

let started;
let since;
for await (const path of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(path)));
  started ??= process.cpuUsage();
  since ??= performance.now();
}
const { user, system } = process.cpuUsage(started);
console.log(
  JSON.stringify({
    cpuMs: (user + system) / 1000,
    wallMs: performance.now() - since,
    peakMegabytes: process.resourceUsage().maxRSS / 1024,
    version: `face-api ${require("@vladmandic/face-api/package.json").version}`,
  }),
);
