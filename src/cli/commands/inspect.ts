/** @file `faceid inspect`: the signatures, operations and parameters of an exported model. */
import type { Command } from "commander";
import { bytesText, countText } from "../../base/log.ts";
import type { OnnxReport } from "../../jobs/inspect.ts";
import type { ModelReport, SignatureReport } from "../../savedmodel/inspect.ts";
import { say } from "../process.ts";

const COLUMNS = 79;

function portLines(title: string, ports: SignatureReport["inputs"]): string[] {
  const width = Math.max(...ports.map(({ name }) => name.length));
  return ports.map(({ name, dtype, shape, tensor }, i) => {
    const sides = shape === null ? "unknown rank" : `[${shape.join(", ")}]`;
    const place = tensor === name ? "" : `  (${tensor})`;
    return `    ${(i === 0 ? title : "").padEnd(8)}${name.padEnd(width)}  ${dtype} ${sides}${place}`;
  });
}

/** Which program wrote the model. */
function originText(model: ModelReport | OnnxReport): string {
  if (model.format === "savedmodel") {
    const { writtenBy, tensorflowVersion: version, tags } = model;
    const format = writtenBy.startsWith("TensorFlow") ? "" : ` in the format of TensorFlow ${version}`;
    return `written by ${writtenBy}${format}, tags ${tags.join(", ")}`;
  }
  const opsets = Object.entries(model.opsets).map(([domain, version]) => `${domain} ${version}`);
  return `ONNX written by ${model.producer || "an unknown program"}, IR ${model.irVersion}, operators ${opsets.join(", ")}`;
}

function operationTexts(model: ModelReport | OnnxReport): string[] {
  // The engine runs more of ONNX than can be read into a graph.
  const otherwise = model.format === "onnx" ? " (cannot be converted)" : " (not supported)";
  return model.operations.map(
    ({ name, count, supported }) => `${name} ${countText(count)}${supported ? "" : otherwise}`,
  );
}

/** The operations in lines that a usual terminal does not wrap. */
function operationLines(model: ModelReport | OnnxReport): string[] {
  const lines = ["  operations:"];
  for (const text of operationTexts(model)) {
    const last = lines.at(-1)!;
    if (last.length + text.length + 2 <= COLUMNS) lines[lines.length - 1] = `${last} ${text},`;
    else lines.push(`    ${text},`);
  }
  return [...lines.slice(0, -1), lines.at(-1)!.replace(/,$/, "")];
}

function sizeText(model: ModelReport | OnnxReport): string {
  const parameters = `${countText(model.parameters)} parameters`;
  const variables =
    model.format === "savedmodel" && model.variables > 0 ? ` in ${model.variables} variables` : "";
  return `${bytesText(model.bytes)}, ${parameters}${variables}`;
}

function reportText(model: ModelReport | OnnxReport): string {
  return [
    model.format === "onnx" ? model.file : model.folder,
    `  ${sizeText(model)}, ${originText(model)}`,
    ...model.signatures.flatMap((signature) => [
      `  signature ${signature.name}  ${signature.method}`,
      ...portLines("inputs", signature.inputs),
      ...portLines("outputs", signature.outputs),
    ]),
    ...operationLines(model),
    ...(model.format === "savedmodel" && model.functions > 0 ? [`  ${model.functions} functions`] : []),
  ].join("\n");
}

async function run(path: string, { json }: { json?: true }): Promise<void> {
  const { inspectModels } = await import("../../jobs/inspect.ts");
  const reports = await inspectModels(path);
  if (json === true) console.log(JSON.stringify(reports));
  else say(reports.map(reportText).join("\n\n"));
}

export function inspectCommand(command: Command): Command {
  return command
    .argument("<path>", "a version's folder, the folder of all versions, or an ONNX file")
    .option("--json", "print a list of JSON objects")
    .action(run);
}
