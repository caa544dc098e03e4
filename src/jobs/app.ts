/** @file The page for people on this machine: a server on loopback with one gallery. */

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { type Log, silentLog } from "../base/log.ts";
import { USUAL_MODE } from "../faces/mode.ts";
import { openPack } from "../faces/models.ts";
import { isServerAddress } from "../gallery/database.ts";
import { Page } from "../serving/page.ts";
import { requireFreePorts } from "../serving/ports.ts";
import { savedModelLoader } from "../serving/repository/loader.ts";
import { NO_MODELS } from "../serving/repository/model-config.ts";
import { startServer } from "../serving/server.ts";
import { packCalibration } from "../verify/pack-calibrations.ts";
import { GALLERY_PACK, openGalleries } from "./serve-galleries.ts";

export interface AppOptions {
  /** A folder, which is made where it is missing, or `postgres://…`. Default: a folder of the user's data. */
  readonly gallery?: string | undefined;
  /** Report page of the model, as `faceid report opencv-sface` writes it, for the view of the model. Default: none. */
  readonly report?: string | undefined;
  /** 0 picks a free one. Default 8600. */
  readonly port?: number | undefined;
  /** Default: silent. */
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

const appOptions = z.strictObject({
  gallery: given.text.optional(),
  report: given.text.optional(),
  port: given.port.optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
} satisfies Record<keyof AppOptions, z.ZodType>);

export interface RunningApp extends AsyncDisposable {
  /** `http://127.0.0.1:8600/` */
  readonly url: string;
  /** Where the gallery is, without a password. */
  readonly gallery: string;
  close(): Promise<void>;
}

const DEFAULT_PORT = 8600;
const HOST = "127.0.0.1";
const NAME = "people";

/** The folder of a user's gallery, by the customs of the system. */
export function userGallery(
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  if (platform === "win32")
    return join(environment.LOCALAPPDATA || join(home, "AppData", "Local"), "faceid", "gallery");
  if (platform === "darwin") return join(home, "Library", "Application Support", "faceid", "gallery");
  return join(environment.XDG_DATA_HOME || join(home, ".local", "share"), "faceid", "gallery");
}

/**
 * Serves the page on 127.0.0.1. `await using` or `close()` stops it.
 * @throws FaceError `PORT_IN_USE`, `CONFIG_INVALID` for a port that is none, `FILE_INVALID` for a report that is none, as
 *   `openPack`, or what the gallery says.
 */
export async function app(options: AppOptions = {}): Promise<RunningApp> {
  checkOptions("app", appOptions, options);
  const { port = DEFAULT_PORT, report, log = silentLog, signal } = options;
  const wanted = options.gallery ?? userGallery(process.env);
  const address = isServerAddress(wanted) ? wanted : resolve(wanted);
  await requireFreePorts([{ interface: "REST", port, option: "port" }]);
  const page = await Page.load();
  const { files } = await openPack(GALLERY_PACK, { log, signal });
  const pack = { pack: GALLERY_PACK, ...USUAL_MODE, modelName: GALLERY_PACK, files, report };
  const place = { bindAddress: HOST, create: true, signal };
  const galleries = await openGalleries([{ name: NAME, address }], pack, place);
  const calibration = packCalibration(pack);
  const server = await startServer({
    models: NO_MODELS,
    loader: savedModelLoader({}),
    log,
    pack: { files, model: { name: GALLERY_PACK, calibration } },
    galleries,
    page,
    bindAddress: HOST,
    restPort: port,
    grpcPort: undefined,
    ...(signal === undefined ? {} : { signal }),
  });
  const close = () => server.close();
  return {
    url: `http://${HOST}:${server.restPort}/`,
    gallery: galleries.open.get(NAME)!.address,
    close,
    [Symbol.asyncDispose]: close,
  };
}
