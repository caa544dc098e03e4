/** @file The catalogue of public datasets that can be downloaded: licences, parts and addresses. */
import { FaceError } from "../base/errors.ts";

/** A file on a server. */
export interface RemoteFile {
  readonly name: string;
  readonly url: string;
  /** Checksum, if published. */
  readonly sha256?: string;
}

/** A part that can be downloaded alone. */
export interface RemotePart {
  /** Name on the command line. */
  readonly name: string;
  /** Description of its content. */
  readonly holds: string;
  readonly files: readonly RemoteFile[];
}

export interface RemoteDataset {
  readonly name: string;
  /** Terms to show before downloading, as lines of text. */
  readonly licence: readonly string[];
  readonly parts: readonly RemotePart[];
  /** Parts to download by default. */
  readonly usual: readonly string[];
  /** Path of an archive's file in the output folder; undefined leaves it out. */
  readonly place: (path: string) => string | undefined;
}

const DIGIFACE_HOST = "https://facesyntheticspubwedata.z6.web.core.windows.net/wacv-2023";

/** First and last person, and images of each: the names of DigiFace-1M's archives. */
const DIGIFACE_ARCHIVES = [
  [0, 1999, 72],
  [2000, 3999, 72],
  [4000, 5999, 72],
  [6000, 7999, 72],
  [8000, 9999, 72],
  [100_000, 133_332, 5],
  [133_333, 166_665, 5],
  [166_666, 199_998, 5],
] as const;

const digiface: RemoteDataset = {
  name: "digiface",
  licence: [
    "DigiFace-1M: 1.22 million rendered faces of 110,000 people who do not exist (Bae et al., WACV 2023).",
    "Licence: Research Use of Data Agreement (R-UDA), Microsoft Corporation: non-commercial research only.",
    "A model trained on it counts as a result of that research and may not be part of a commercial offering.",
    "Read the terms before using it: https://microsoft.github.io/DigiFace1M",
  ],
  parts: DIGIFACE_ARCHIVES.map(([from, to, images], index) => {
    const name = `subjects_${from}-${to}_${images}_imgs.zip`;
    return {
      name: String(index + 1),
      holds: `people ${from} to ${to}, ${images} images each`,
      files: [{ name, url: `${DIGIFACE_HOST}/${name}` }],
    };
  }),
  usual: ["1"],
  place: (path) => /(?:^|\/)(\d+\/\d+\.png)$/.exec(path)?.[1],
};

/** The same files as on the university's server, which has been unreachable for years, at figshare for scikit-learn. */
const figshare = (name: string, id: number, sha256: string): RemoteFile => ({
  name,
  url: `https://ndownloader.figshare.com/files/${id}`,
  sha256,
});

const lfw: RemoteDataset = {
  name: "lfw",
  licence: [
    "Labeled Faces in the Wild: 13,233 news photographs of 5,749 public figures (Huang et al., 2007).",
    "Made for research on face verification. The photographs belong to their owners; no licence for other use comes with them.",
    "Its authors warn that it says little about women, children, the elderly and many ethnic groups, and that it must not",
    "be used to conclude that a system is fit for commercial use: http://vis-www.cs.umass.edu/lfw/#disclaimer",
  ],
  parts: [
    {
      name: "funneled",
      holds: "all photographs, 250x250, aligned by funneling (about 230 MB)",
      files: [
        figshare(
          "lfw-funneled.tgz",
          5976015,
          "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
        ),
      ],
    },
    {
      name: "pairs",
      holds:
        "pairs.txt (ten folds to report on), pairsDevTrain.txt and pairsDevTest.txt (to choose models by)",
      files: [
        figshare("pairs.txt", 5976006, "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592"),
        figshare(
          "pairsDevTrain.txt",
          5976012,
          "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
        ),
        figshare(
          "pairsDevTest.txt",
          5976009,
          "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c",
        ),
      ],
    },
  ],
  usual: ["funneled", "pairs"],
  place: (path) => /([^/]+\/[^/]+_\d{4}\.jpg)$/.exec(path)?.[1],
};

export const REMOTE_DATASETS: Readonly<Record<string, RemoteDataset>> = { digiface, lfw };

/**
 * A dataset's entry in the catalogue.
 * @throws FaceError `CONFIG_INVALID` for any other name.
 */
export function remoteDataset(name: string): RemoteDataset {
  const found = Object.hasOwn(REMOTE_DATASETS, name) ? REMOTE_DATASETS[name] : undefined;
  if (found !== undefined) return found;
  throw new FaceError("CONFIG_INVALID", `there is no dataset ${JSON.stringify(name)} to download`, {
    hint: `choose ${Object.keys(REMOTE_DATASETS).join(" or ")}`,
  });
}

/**
 * The parts of a dataset by name; `all` means every part, an empty list the default parts.
 * @throws FaceError `CONFIG_INVALID` for an unknown part.
 */
export function chooseParts(dataset: RemoteDataset, names: readonly string[]): RemotePart[] {
  const wanted = names.length === 0 ? dataset.usual : names;
  if (wanted.includes("all")) return [...dataset.parts];
  return wanted.map((name) => {
    const part = dataset.parts.find((each) => each.name === name);
    if (part !== undefined) return part;
    const choices = dataset.parts.map((each) => `  ${each.name}: ${each.holds}`);
    throw new FaceError("CONFIG_INVALID", `${dataset.name} has no part ${JSON.stringify(name)}`, {
      hint: ["the parts are", ...choices, "  all: every part"].join("\n"),
    });
  });
}
