/** @file Removes ONNX Runtime's libraries for other platforms from node_modules; its package ships all of them. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const [modules = "node_modules"] = process.argv.slice(2);
const bin = join(modules, "onnxruntime-node/bin");

for (const api of readdirSync(bin)) {
  for (const platform of readdirSync(join(bin, api))) {
    for (const architecture of readdirSync(join(bin, api, platform))) {
      if (platform === process.platform && architecture === process.arch) continue;
      rmSync(join(bin, api, platform, architecture), { recursive: true });
      console.log(`removed onnxruntime-node for ${platform}/${architecture}`);
    }
  }
}
