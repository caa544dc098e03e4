/** @file What a report page can tell. */
import type { CalibrationRecord } from "../artifact/calibration.ts";
import type { ModelDescription } from "../model/description.ts";
import type { EvaluationReport } from "./metrics.ts";
import type { ScoredPairs } from "./scores.ts";

/** An epoch of training, as run logs and checkpoints keep it. */
export interface ReportedEpoch {
  /** Counted from 1; the place in the list when left out. A backbone after the first begins anew. */
  readonly epoch?: number | undefined;
  readonly loss: number;
  readonly accuracy: number;
  readonly validationLoss?: number | undefined;
  readonly validationAccuracy?: number | undefined;
}

/** What a network was trained with, so that its figures can be called what they are. */
export interface Learning {
  /** As `--loss`. */
  readonly loss: string;
  /** As `--sampling`: pairs, or people whose photographs are all compared. */
  readonly sampling: string;
  /** In a row of a batch by people. */
  readonly photosPerPerson: number;
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
  /** How it learned; pairs by their cross-entropy when left out. */
  readonly learning?: Learning;
  readonly evaluation?: {
    readonly report: EvaluationReport;
    readonly scored: ScoredPairs;
    readonly calibration?: CalibrationRecord | undefined;
    /** Of the resampling behind the bands. */
    readonly seed: number;
  };
  readonly mistakes?: readonly PicturedMistake[];
}
