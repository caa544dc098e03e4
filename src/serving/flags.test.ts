/** @file TensorFlow Serving's command lines, in every spelling that scripts use. */
import { describe, expect, it } from "vitest";
import { normalizeFlags } from "./flags.ts";

describe("normalizeFlags", () => {
  it("takes underscores and dashes, with and without an equals sign", () => {
    for (const argv of [
      ["--rest_api_port=8501", "--model_name=faceid"],
      ["--rest-api-port=8501", "--model-name=faceid"],
    ]) {
      expect(normalizeFlags(argv).argv).toEqual(["--rest-api-port=8501", "--model-name=faceid"]);
    }
    expect(normalizeFlags(["--rest_api_port", "8501"]).argv).toEqual(["--rest-api-port", "8501"]);
    expect(normalizeFlags(["--model_base_path=/a_b=c_d"]).argv).toEqual(["--model-base-path=/a_b=c_d"]);
  });

  it("takes out flags that have no effect, with their values", () => {
    const { argv, withoutEffect } = normalizeFlags([
      "--tensorflow_session_parallelism",
      "2",
      "--enable_profiler",
      "--flush_filesystem_caches=true",
      "--port=1",
    ]);
    expect(argv).toEqual(["--port=1"]);
    expect(withoutEffect).toEqual([
      "--tensorflow_session_parallelism",
      "--enable_profiler",
      "--flush_filesystem_caches",
    ]);
  });

  it("takes the old name of a flag and says so", () => {
    const { argv, renamed } = normalizeFlags(["--lanes=2", "--lanes", "3"]);
    expect(argv).toEqual(["--sessions=2", "--sessions", "3"]);
    expect(renamed).toEqual([
      ["lanes", "sessions"],
      ["lanes", "sessions"],
    ]);
  });

  it("refuses what is not supported, but takes its default", () => {
    expect(() => normalizeFlags(["--use_alts_credentials"])).toThrow(
      "--use_alts_credentials is not supported",
    );
    expect(() => normalizeFlags(["--platform_config_file", "x"])).toThrow("is not supported");
    expect(normalizeFlags(["--prefer_tflite_model=false"]).argv).toEqual([]);
  });
});
