/** @file The public list of the library: what `import … from "faceid"` offers. */

// Everything that can fail throws `FaceError` with one of the codes of docs/errors.md. Images are RGB, row-major
// `[height, width, 3]`, in [0, 1] where they are floats; probabilities are that two photographs show one person.

// Training

export type { ExportedModel, Framing } from "./artifact/description.ts";
export { type ExportOptions, exportModel } from "./jobs/export.ts";
export { tensorBoard } from "./jobs/tensorboard.ts";
export { type ResumeOptions, resume, type TrainOptions, type TrainResult, train } from "./jobs/train.ts";
export { type Checkpoint, type EpochRecord, type Progress, readCheckpoint } from "./train/checkpoint.ts";
export {
  type SettledConfig,
  type TrainConfig,
  type TrainSettings,
  trainConfigSchema,
} from "./train/config.ts";
export type { EpochEnd, RunEnd, RunStart, StepRecord, TrainListener } from "./train/listeners.ts";

// Using and measuring a model

export type { CalibrationRecord, OperatingPoint, Rate } from "./artifact/calibration.ts";
export type { FalseAcceptRate } from "./artifact/rates.ts";
export type { FoldReport } from "./evaluate/folds.ts";
export type { EvaluationReport, Measured, TarAtFar } from "./evaluate/metrics.ts";
export type { MeasureProgress, OnMeasureProgress } from "./evaluate/score-pairs.ts";
export type { ScoredPairs } from "./evaluate/scores.ts";
export { type EvaluateOptions, evaluate, evaluateFolds, type Measurement } from "./jobs/evaluate.ts";
export {
  evaluateIdentification,
  type IdentificationMeasurement,
  type IdentificationOptions,
} from "./jobs/identification.ts";
export { type ReportOptions, writeReport } from "./jobs/report.ts";
export {
  FaceModel,
  loadModel,
  type Photo,
  type Verification,
  type VerifyOptions,
} from "./verify/face-model.ts";

// Whole photographs

export type { FaceChoice, FacePick, FacePicks } from "./faces/choose.ts";
export type { Precision, Profile } from "./faces/mode.ts";
export type { WrittenFormat } from "./image/decode.ts";
export { type CropFraming, type CropOptions, type CropResult, cropFaces } from "./jobs/crop.ts";
export { type EmbedFolderOptions, type EmbedResult, embedFolder, type Shard } from "./jobs/embed.ts";
export type { LeftOutFile, OnPhotoProgress } from "./jobs/photos-in.ts";
export { type LoadFaceModelOptions, loadFaceModel } from "./verify/load-face-model.ts";
export {
  type ComparedFace,
  type PairOptions,
  type PhotoDecision,
  type PhotoEmbedding,
  PhotoError,
  type PhotoFace,
  PhotoModel,
  type PhotoOptions,
  type PhotoVerification,
  type PhotoVerifyOptions,
  type ReadPhoto,
} from "./verify/photo-model.ts";

// Data

export { type DatasetOptions, openDataset } from "./data/dataset.ts";
export type { Dataset, Identity, ImageRef } from "./data/identity.ts";
export type { DatasetFunction, DatasetModule, ModuleDataset, ModuleIdentity } from "./data/module.ts";
export type { Pair } from "./data/pairs.ts";
export { type DatasetSplit, type SplitOptions, splitIdentities } from "./data/split.ts";

// Model packs

export { type Models, models } from "./faces/models.ts";
export type { Pack, PackFile, PackRole } from "./faces/packs/catalogue.ts";
export type { OnPackProgress, PackProgress } from "./faces/packs/fetch.ts";
export type { AddPackOptions, OpenPackOptions, PackStatus } from "./faces/packs/store.ts";

// Galleries on a server, and the page

export {
  GalleryClient,
  type GalleryClientOptions,
  type MatchOptions,
  type PhotoContent,
  type RepeatableOptions,
  type ServedEnrolment,
  type ServedEvent,
  type ServedFace,
  type ServedGallery,
  type ServedIdentification,
  type ServedIdentifications,
  type ServedPerson,
  type ServedPersonFields,
  type ServedVerification,
  ServiceError,
  type ServiceFacts,
} from "./client/gallery-client.ts";
export { type AppOptions, app, type RunningApp } from "./jobs/app.ts";

// Galleries: who is this?

export type { EnrolledFace, NewFace } from "./gallery/faces.ts";
export {
  Gallery,
  type GalleryHealth,
  type GalleryIndex,
  type GalleryModel,
  type IndexOptions,
  type OpenGalleryOptions,
} from "./gallery/gallery.ts";
export type { Consent, Person, PersonChanges } from "./gallery/people.ts";
export type { GalleryEvent } from "./gallery/scope.ts";
export type { Neighbour } from "./gallery/search.ts";
export { type IdentificationRate, type SearchThreshold, searchThreshold } from "./gallery/threshold.ts";
export { type ClusterFolderOptions, type ClusterResult, clusterFolder } from "./jobs/cluster.ts";
export {
  createGallery,
  type GalleryJobOptions,
  type OpenedGallery,
  openGallery,
} from "./jobs/gallery.ts";
export { type EnrolSummary, enrolFolder, enrolPhotos } from "./jobs/gallery-enrol.ts";
export {
  type IdentifiedFace,
  type IdentifiedPhoto,
  type IdentifyOptions,
  type IdentifyPhotosOptions,
  identify,
  identifyPhotos,
} from "./verify/identify.ts";

// Serving, and asking a server

export type { Answer } from "./client/answer.ts";
export { type RequestTarget, request } from "./client/request.ts";
export { type ServeOptions, serve } from "./jobs/serve.ts";
export type { RunningServer, ServerOptions } from "./serving/server.ts";

// Models of any origin

export { inspectModels, type OnnxReport } from "./jobs/inspect.ts";
export { loadSignatures, type SignatureModel } from "./jobs/signature-model.ts";
export type { ModelReport } from "./savedmodel/inspect.ts";
export type { Signature, SignatureTensor } from "./savedmodel/signature.ts";

// Networks

export { describe, type LayerDescription, type ModelDescription } from "./model/description.ts";
export type { EmbeddingNetwork } from "./model/embedding-network.ts";
export { NETWORKS, networkNamed } from "./model/networks.ts";
export { plotSvg } from "./model/plot.ts";
export { summaryText } from "./model/summary.ts";

// What all of them speak of

export { ERRORS, type ErrorCode, FaceError } from "./base/errors.ts";
export type { Log } from "./base/log.ts";
export { type DType, float32, type Tensor, type TensorMap, tensor } from "./base/tensor.ts";
