/** @file Arbitrary convolutions and pools: images, windows, strides, margins that fit each other. */
import fc from "fast-check";
import type { ConvAttrs, Padding, Pair, PoolAttrs } from "../../src/graph/ops.ts";
import { outputSize } from "../../src/graph/windows.ts";

const pairs = (min: number, max: number): fc.Arbitrary<Pair> =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

interface ConvTry {
  readonly image: number[];
  readonly kernel: number[];
  readonly out: number[];
  readonly attrs: ConvAttrs;
}

/** Margins up to some size, or one of TensorFlow's two words. */
const paddings = (most: Pair): fc.Arbitrary<Padding> =>
  fc.oneof(
    fc.constant("same" as const),
    fc.constant("valid" as const),
    fc.tuple(pairs(0, most[0]), pairs(0, most[1])),
  );

export const convs: fc.Arbitrary<ConvTry> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    size: pairs(1, 3),
    strides: pairs(1, 2),
    dilations: pairs(1, 2),
    more: pairs(0, 3),
    groups: fc.constantFrom(1, 1, 2, 3),
    perGroup: fc.integer({ min: 1, max: 2 }),
    outPerGroup: fc.integer({ min: 1, max: 2 }),
  })
  .chain((t) => {
    const reach: Pair = [(t.size[0] - 1) * t.dilations[0] + 1, (t.size[1] - 1) * t.dilations[1] + 1];
    return paddings(reach).map((padding) => {
      const { size, strides, dilations, groups } = t;
      const sides: Pair = [reach[0] + t.more[0], reach[1] + t.more[1]];
      const attrs = { strides, dilations, groups, padding };
      const outSides = outputSize("conv2d", sides, { ...attrs, size }) as Pair;
      const channels = groups * t.outPerGroup;
      return {
        image: [t.batch, ...sides, groups * t.perGroup],
        kernel: [...size, t.perGroup, channels],
        out: [t.batch, ...outSides, channels],
        attrs,
      };
    });
  });

interface PoolTry {
  readonly image: number[];
  readonly out: number[];
  readonly attrs: PoolAttrs;
}

const pools: fc.Arbitrary<PoolTry> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    size: pairs(1, 3),
    strides: pairs(1, 3),
    more: pairs(0, 4),
  })
  .chain(({ batch, size, strides, more }) =>
    paddings([size[0] - 1, size[1] - 1]).map((padding) => {
      const sides: Pair = [size[0] + more[0], size[1] + more[1]];
      const attrs = { size, strides, padding };
      const out = outputSize("pool", sides, attrs) as Pair;
      return { image: [batch, ...sides, 2], out: [batch, ...out, 2], attrs };
    }),
  );

/** Pools whose windows tile the image, as most networks have them. */
const tilings: fc.Arbitrary<PoolTry> = fc.tuple(pairs(1, 3), pairs(1, 3)).map(([size, count]) => ({
  image: [2, size[0] * count[0], size[1] * count[1], 2],
  out: [2, ...count, 2],
  attrs: { size, strides: size, padding: "valid" },
}));

export const anyPools = fc.oneof(pools, tilings);
