/** @file The result of a soak as an SVG chart: memory above, latency below, over minutes. */

/** Measurements of one interval of a soak. */
export interface SoakSample {
  readonly minutes: number;
  readonly megabytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answered: number;
  readonly failed: number;
}

const WIDTH = 720;
const PANEL = 170;
const LEFT = 64;
const RIGHT = 16;
const TOP = 34;
const GAP = 56;
const TICKS = 4;

interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly of: (sample: SoakSample) => number;
}

/** A round number at or above a value, with a leading digit of 1, 2 or 5. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return (value <= power ? 1 : value <= 2 * power ? 2 : value <= 5 * power ? 5 : 10) * power;
}

function panel(samples: readonly SoakSample[], title: string, curves: readonly Curve[], top: number): string {
  const minutes = samples.at(-1)?.minutes ?? 1;
  const most = roundUp(Math.max(...samples.flatMap((sample) => curves.map(({ of }) => of(sample)))));
  const x = (value: number) => (LEFT + (value / minutes) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number) => (top + PANEL * (1 - value / most)).toFixed(1);
  const grid = Array.from({ length: TICKS + 1 }, (_, i) => {
    const [value, minute] = [(most * i) / TICKS, (minutes * i) / TICKS];
    return (
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${y(value)}" text-anchor="end" dominant-baseline="middle">${+value.toPrecision(3)}</text>` +
      `<text x="${x(minute)}" y="${top + PANEL + 18}" text-anchor="middle">${+minute.toFixed(1)} min</text>`
    );
  });
  const lines = curves.map(({ colour, of }) => {
    const points = samples.map((sample) => `${x(sample.minutes)},${y(of(sample))}`).join(" ");
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.6"/>`;
  });
  const legend = curves.map(
    ({ name, colour }, i) => `<tspan fill="${colour}" dx="${i === 0 ? 12 : 10}">${name}</tspan>`,
  );
  return [
    `<text x="${LEFT}" y="${top - 12}"><tspan font-weight="bold">${title}</tspan>${legend.join("")}</text>`,
    ...grid,
    ...lines,
  ].join("\n");
}

/** The chart as SVG. */
export function soakChart(samples: readonly SoakSample[]): string {
  const second = TOP + PANEL + GAP;
  const memory = { name: "resident", colour: "#1f77b4", of: ({ megabytes }: SoakSample) => megabytes };
  const latencies = [
    { name: "median", colour: "#2ca02c", of: ({ p50Ms }: SoakSample) => p50Ms },
    { name: "99 %", colour: "#d62728", of: ({ p99Ms }: SoakSample) => p99Ms },
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${second + PANEL + 34}" font-family="sans-serif" font-size="12">
<title>memory and latency of the server over a soak</title>
<rect width="100%" height="100%" fill="white"/>
${panel(samples, "memory of the server, MB", [memory], TOP)}
${panel(samples, "latency, ms", latencies, second)}
</svg>
`;
}
