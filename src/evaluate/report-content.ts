/** @file What a report page can tell. */
import type { ModelDescription } from "../model/description.ts";
import type { EvaluationReport } from "./metrics.ts";
import type { ScoredPairs } from "./scores.ts";
import type { CalibrationRecord } from "./thresholds.ts";

/** An epoch of training, as run logs and checkpoints keep it. */
export interface ReportedEpoch {
  readonly loss: number;
  readonly accuracy: number;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
}

/** A wrong decision with its two photographs. */
export interface PicturedMistake {
  readonly score: number;
  readonly same: boolean;
  /** JPEG files. */
  readonly left: Uint8Array;
  readonly right: Uint8Array;
  /** Where the two photographs lie. */
  readonly captions: readonly [string, string];
}

/** All that a page can tell; what is missing leaves its section out. */
export interface ReportContent {
  readonly title: string;
  /** Version of faceid and date, for the foot of the page. */
  readonly made: string;
  readonly model?: ModelDescription;
  /** Settings of the run by name. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly epochs?: readonly ReportedEpoch[];
  readonly evaluation?: {
    readonly report: EvaluationReport;
    readonly scored: ScoredPairs;
    readonly calibration?: CalibrationRecord | undefined;
    /** Of the resampling behind the bands. */
    readonly seed: number;
  };
  readonly mistakes?: readonly PicturedMistake[];
}
