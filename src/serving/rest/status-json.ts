/** @file Model status and model metadata as the JSON of TensorFlow Serving's REST interface. */
import { create, toJson } from "@bufbuild/protobuf";
import { SignatureDefMapSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import type { Servable } from "../engine/servable.ts";
import type { Catalog, VersionStatus } from "../repository/catalog.ts";

/** Protobuf's JSON is indented by one space. */
function indented(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** `{"model_version_status": […]}`. */
export function statusJson(versions: readonly VersionStatus[]): string {
  return indented({
    model_version_status: versions.map(({ version, state, error }) => ({
      version: String(version),
      state,
      status: { error_code: error?.status ?? "OK", error_message: error?.message ?? "" },
    })),
  });
}

/** `{"model_spec": …, "metadata": {"signature_def": …}}`. */
export function metadataJson(servable: Servable): string {
  const spec = { name: servable.name, signature_name: "", version: String(servable.version) };
  const signatures = toJson(
    SignatureDefMapSchema,
    create(SignatureDefMapSchema, { signatureDef: { ...servable.signatureDefs } }),
    { useProtoFieldName: true, alwaysEmitImplicit: true },
  );
  return `{\n"model_spec":${indented(spec)},\n"metadata": {"signature_def": ${indented(signatures)}}\n}\n`;
}

/** The list of models, which TensorFlow Serving lacks: names, and how each version is doing. */
export function modelsJson(catalog: Catalog): string {
  return indented({
    models: catalog.names().map((name) => ({
      name,
      versions: catalog.versions(name).map(({ version, state }) => ({ version: String(version), state })),
      labels: Object.fromEntries(
        [...catalog.labels(name)].map(([label, version]) => [label, String(version)]),
      ),
    })),
  });
}
