/** @file The manifests: held against Kubernetes' and KServe's schemas, against each other, and against the server's flags. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SERVER_FLAGS } from "../../src/serving/flags.ts";
import { openTools, ROOT, run } from "./tools.ts";

const tools = await openTools();
const KUBERNETES = join(ROOT, "deploy/kubernetes");
const KSERVE = join(ROOT, "deploy/kserve");
const CUSTOMIZATION = "kustomization.yaml";
const EMBED_JOB = "deploy/embedding/job.yaml";

interface Checked {
  readonly kind: string;
  readonly name: string;
  readonly errors: readonly string[];
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly securityContext: unknown;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

interface Deployment {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>;
        readonly annotations: Readonly<Record<string, string>>;
      };
      readonly spec: {
        readonly containers: readonly [Container];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

const yamlIn = (folder: string) => readdirSync(folder).filter((name) => name.endsWith(".yaml"));
const isAvailable = async (program: string) =>
  run(program, ["version", "--client"]).then(
    ({ code }) => code === 0,
    () => false,
  );
const kubectl = await isAvailable("kubectl");

it("give the server with keys flags that it knows, and the file where the Secret is mounted", () => {
  const text = readFileSync(join(ROOT, "deploy/kubernetes-keys", CUSTOMIZATION), "utf8");
  const flags = [...text.matchAll(/value: --(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]);
  const known = new Set(SERVER_FLAGS.map(({ name }) => name));
  expect(flags).toEqual([
    ["api_keys_file", expect.any(String)],
    ["require_api_key", "true"],
  ]);
  for (const [name] of flags) expect(known).toContain(name);
  const [, mounted] = /mountPath: (\S+)/.exec(text)!;
  const [, file] = /--from-file=(\S+)/.exec(text)!;
  expect(flags[0]![1]).toBe(`${mounted}/${file}`);
  const compose = readFileSync(join(ROOT, "deploy/compose/serve.yml"), "utf8");
  const composed = [...compose.matchAll(/^ {6}- --(\w+)=/gm)].map(([, name]) => name!);
  expect(composed.filter((name) => !known.has(name))).toEqual([]);
  expect(compose).toContain("--api_keys_file=/run/secrets/api-keys");
});

describe.skipIf("unavailable" in tools)("the cluster's files", () => {
  if ("unavailable" in tools) return;
  const documents = async <T>(folder: string, name: string) =>
    (await tools.script("read_yaml.py", join(folder, name))) as readonly T[];
  const check = async (path: string) =>
    (await tools.script("check_manifests.py", join(ROOT, path))) as readonly Checked[];
  const deployment = async () => (await documents<Deployment>(KUBERNETES, "deployment.yaml"))[0]!;

  it.each([
    ...yamlIn(KUBERNETES)
      .filter((name) => name !== CUSTOMIZATION)
      .map((name) => `deploy/kubernetes/${name}`),
    ...yamlIn(KSERVE).map((name) => `deploy/kserve/${name}`),
    EMBED_JOB,
  ])("%s keeps the schema", async (path) => {
    const checked = await check(path);
    expect(checked.length).toBeGreaterThan(0);
    expect(checked.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it("would be refused with a field that does not exist, or without one that must be there", async () => {
    const [deploymentErrors, serviceErrors] = (await check("test/deploy/bad-manifests.yaml")).map(
      ({ errors }) => errors.join("\n"),
    );
    expect(deploymentErrors).toContain("'readonlyRoot' was unexpected");
    expect(serviceErrors).toContain("'modelFormat' is a required property");
    expect(serviceErrors).toContain("'canaryTraffic' was unexpected");
  });

  it("lists every file in the kustomization", async () => {
    const [{ resources }] = (await documents<{ resources: string[] }>(KUBERNETES, CUSTOMIZATION)) as [
      { resources: string[] },
    ];
    expect([...resources].sort()).toEqual(yamlIn(KUBERNETES).filter((name) => name !== CUSTOMIZATION));
  });

  it("shares the photographs among as many pods as the embedding job has", async () => {
    const [job] = (await documents(ROOT, EMBED_JOB)) as [
      {
        spec: {
          completionMode: string;
          completions: number;
          template: { spec: Pick<Deployment["spec"]["template"]["spec"], "containers" | "volumes"> };
        };
      },
    ];
    const { completionMode, completions, template } = job.spec;
    const [{ args, volumeMounts }] = template.spec.containers;
    expect(completionMode).toBe("Indexed");
    expect(args[0]).toBe("embed");
    expect(args).toContain(`--shard=$(JOB_COMPLETION_INDEX)/${completions}`);
    const output = args.find((arg) => arg.startsWith("--output="))!.split("=")[1]!;
    for (const path of [args[1]!, output]) {
      expect(
        volumeMounts.some(({ mountPath }) => path.startsWith(mountPath)),
        path,
      ).toBe(true);
    }
    expect(output).toContain("$(JOB_COMPLETION_INDEX)");
    expect(template.spec.volumes.map(({ name }) => name).sort()).toEqual(
      volumeMounts.map(({ name }) => name).sort(),
    );
  });

  it.skipIf(!kubectl)("is rendered by kubectl with the image and the monitoring file filled in", async () => {
    const { code, stdout, stderr } = await run("kubectl", ["kustomize", KUBERNETES]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("image: ghcr.io/OWNER/faceid:0.1.0");
    const [, generated] = /name: (faceid-monitoring-\w+)/.exec(stdout)!;
    expect(stdout.split(generated!).length - 1).toBe(2);
  });

  it("gives the server flags that it knows, and probes that it answers", async () => {
    const { spec } = (await deployment()).spec.template;
    const [container] = spec.containers;
    const known = new Set(SERVER_FLAGS.map(({ name }) => name));
    const [command, ...flags] = container.args;
    expect(command).toBe("serve");
    expect(flags.filter((flag) => !known.has(/^--(\w+)=./.exec(flag)?.[1] ?? ""))).toEqual([]);
    const ports = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    expect(flags).toContain(`--port=${ports.get("grpc")}`);
    expect(flags).toContain(`--rest_api_port=${ports.get("http")}`);
    for (const probe of [container.startupProbe, container.readinessProbe]) {
      expect(probe.httpGet).toEqual({ path: "/readyz", port: "http" });
    }
    expect(container.livenessProbe.httpGet).toEqual({ path: "/healthz", port: "http" });
  });

  it("mounts what the server reads, read-only, and scrapes where it counts", async () => {
    const { metadata, spec } = (await deployment()).spec.template;
    const [{ args, volumeMounts, securityContext, ports }] = spec.containers;
    expect(spec.volumes.map(({ name }) => name).sort()).toEqual(volumeMounts.map(({ name }) => name).sort());
    for (const flag of ["model_base_path", "monitoring_config_file"]) {
      const path = args.find((arg) => arg.startsWith(`--${flag}=`))!.split("=")[1]!;
      const mount = volumeMounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
      expect(mount?.readOnly, path).toBe(true);
    }
    expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    const { annotations } = metadata;
    expect(annotations["prometheus.io/port"]).toBe(
      String(ports.find(({ name }) => name === "http")!.containerPort),
    );
    expect(readFileSync(join(KUBERNETES, "monitoring.config"), "utf8")).toContain(
      `path: "${annotations["prometheus.io/path"]}"`,
    );
  });

  it("binds service, autoscaler and budget to the deployment's pods", async () => {
    const { metadata, spec } = await deployment();
    const { labels } = spec.template.metadata;
    const services = await documents<{ spec: { selector: unknown; ports: { targetPort: string }[] } }>(
      KUBERNETES,
      "service.yaml",
    );
    const names = new Set(spec.template.spec.containers[0].ports.map(({ name }) => name));
    for (const service of services) {
      expect(labels).toMatchObject(service.spec.selector as object);
      for (const { targetPort } of service.spec.ports) expect(names).toContain(targetPort);
    }
    const [budget] = await documents<{ spec: { selector: { matchLabels: object } } }>(
      KUBERNETES,
      "disruption-budget.yaml",
    );
    expect(labels).toMatchObject(budget!.spec.selector.matchLabels);
    const [autoscaler] = await documents<{ spec: { scaleTargetRef: object } }>(KUBERNETES, "autoscaler.yaml");
    expect(autoscaler!.spec.scaleTargetRef).toMatchObject({ kind: "Deployment", name: metadata.name });
  });

  it("changes only traffic and folder from KServe's service to its canary", async () => {
    interface Predictor {
      readonly canaryTrafficPercent?: number;
      readonly model: { readonly storageUri: string };
    }
    const predictorOf = async (name: string) =>
      (await documents<{ spec: { predictor: Predictor } }>(KSERVE, name))[0]!.spec.predictor;
    const [service, canary] = [await predictorOf("inference-service.yaml"), await predictorOf("canary.yaml")];
    expect(canary.canaryTrafficPercent).toBe(10);
    expect(canary.model.storageUri).not.toBe(service.model.storageUri);
    const { canaryTrafficPercent: _, ...rest } = canary;
    expect({ ...rest, model: { ...rest.model, storageUri: service.model.storageUri } }).toEqual(service);
  });
});
