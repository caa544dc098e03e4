/** @file `faceid inspect`: what an exported model offers and is made of. */
import { Command } from "commander";
import {
  inspectSavedModel,
  type ModelReport,
  type SignatureReport,
  versionFolders,
} from "../../savedmodel/inspect.ts";

const MEGABYTE = 2 ** 20;

function portLines(title: string, ports: SignatureReport["inputs"]): string[] {
  const width = Math.max(...ports.map(({ name }) => name.length));
  return ports.map(({ name, dtype, shape, tensor }, i) => {
    const sides = shape === null ? "unknown rank" : `[${shape.join(", ")}]`;
    return `    ${(i === 0 ? title : "").padEnd(8)}${name.padEnd(width)}  ${dtype} ${sides}  (${tensor})`;
  });
}

function reportText(model: ModelReport): string {
  const operations = model.operations.map(
    ({ name, count, supported }) => `${name} ${count}${supported ? "" : " (cannot be read)"}`,
  );
  return [
    model.folder,
    `  ${(model.bytes / MEGABYTE).toFixed(1)} MB, ${model.parameters.toLocaleString("en-US")} parameters, written by TensorFlow ${model.tensorflowVersion || "unknown"}, tags ${model.tags.join(", ")}`,
    ...model.signatures.flatMap((signature) => [
      `  signature ${signature.name}  ${signature.method}`,
      ...portLines("inputs", signature.inputs),
      ...portLines("outputs", signature.outputs),
    ]),
    `  operations: ${operations.join(", ")}`,
    ...(model.functions > 0 ? [`  ${model.functions} functions`] : []),
  ].join("\n");
}

async function run(folder: string, { json }: { json?: true }): Promise<void> {
  const reports: ModelReport[] = [];
  for (const version of await versionFolders(folder)) reports.push(await inspectSavedModel(version));
  console.log(json === true ? JSON.stringify(reports) : reports.map(reportText).join("\n\n"));
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .description("print a SavedModel's signatures, operations and parameters")
    .argument("<folder>", "a version's folder, or the folder of all versions")
    .option("--json", "print a list of JSON objects")
    .action(run);
}
