/** @file Serves models from within a program: TensorFlow Serving's protocols in a few words. */
import { resolve } from "node:path";
import { type Log, silentLog } from "../base/log.ts";
import { type LoaderOptions, savedModelLoader } from "../serving/repository/loader.ts";
import { singleModelConfig } from "../serving/repository/model-config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../serving/server.ts";

/** What to serve and where. */
export interface ServeOptions
  extends Omit<ServerOptions, "models" | "loader" | "log" | "grpcPort" | "restPort">,
    LoaderOptions {
  /** The folder of the model's versions; new ones are found while the server runs. */
  readonly modelPath: string;
  /** Name under which clients ask for it. Default `faceid`. */
  readonly modelName?: string;
  /** Port of the REST interface; 0 picks a free one, `false` leaves it off. Default 8501. */
  readonly restPort?: number | false;
  /** Port of the gRPC interface; 0 picks a free one, `false` leaves it off. Default 8500. */
  readonly grpcPort?: number | false;
  /** Default: silent. */
  readonly log?: Log;
}

/**
 * Starts a server; it answers as soon as the promise resolves. `await using` or `close()` ends it in good order.
 * @throws FaceError `PORT_IN_USE`, or `MODEL_INVALID` when the model cannot be loaded.
 */
export function serve({
  modelPath,
  modelName = "faceid",
  restPort = 8501,
  grpcPort = 8500,
  log = silentLog,
  sessions,
  tags,
  ...options
}: ServeOptions): Promise<RunningServer> {
  return startServer({
    ...options,
    log,
    models: singleModelConfig(modelName, resolve(modelPath)),
    loader: savedModelLoader({
      ...(sessions === undefined ? {} : { sessions }),
      ...(tags === undefined ? {} : { tags }),
    }),
    restPort: restPort === false ? undefined : restPort,
    grpcPort: grpcPort === false ? undefined : grpcPort,
  });
}
