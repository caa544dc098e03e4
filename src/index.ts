/** @file The public list of the library: what `import … from "faceid"` offers. */

// Nouns
export type { DType } from "./base/dtype.ts";
export { type ErrorCode, FaceError } from "./base/errors.ts";
export type { Log } from "./base/log.ts";
export { type Tensor, tensor } from "./base/tensor.ts";
// Asking a server
export type { Answer } from "./client/answer.ts";
export { requestGrpc } from "./client/grpc.ts";
export { requestRest } from "./client/rest.ts";
// Data
export { openDataset } from "./data/dataset.ts";
export type { Dataset, Identity, ImageRef } from "./data/identity.ts";
export type { DatasetModule, ModuleDataset, ModuleIdentity } from "./data/module.ts";
export { evaluationPairs, type Pair, samplePairs } from "./data/pairs.ts";
export { type DatasetSplit, splitIdentities } from "./data/split.ts";
// Measuring
export type { FoldReport } from "./evaluate/folds.ts";
export type { EvaluationReport } from "./evaluate/metrics.ts";
export type { CalibrationRecord } from "./evaluate/thresholds.ts";
// Networks
export { describe, type ModelDescription } from "./model/description.ts";
export type { EmbeddingNetwork } from "./model/embedding-network.ts";
export { NETWORKS, networkNamed } from "./model/networks.ts";
export { plotSvg } from "./model/plot.ts";
export { summaryText } from "./model/summary.ts";
export type { Verifier } from "./model/verifier.ts";

// Exporting and serving
export { readSavedModel } from "./savedmodel/read.ts";
export { savedModelLoader } from "./serving/loader.ts";
export { singleModelConfig } from "./serving/model-config.ts";
export { type RunningServer, type ServerOptions, startServer } from "./serving/server.ts";
// Training
export { type Checkpoint, readCheckpoint } from "./train/checkpoint.ts";
export { type TrainConfig, trainConfigSchema } from "./train/config.ts";
export type { EpochEnd, RunEnd, RunStart, StepRecord, TrainListener } from "./train/listener.ts";
export { exportModel, type ModelDescription as ExportedModel } from "./workflow/export.ts";
export { type Measurement, measureFolds, measureHeldOut, measureRun } from "./workflow/measure.ts";
export { savedModelVerifier } from "./workflow/saved-model-verifier.ts";
export { resume, type TrainOptions, type TrainResult, train } from "./workflow/train.ts";
export { checkpointVerifier } from "./workflow/verifier.ts";
