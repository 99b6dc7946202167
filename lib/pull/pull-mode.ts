/**
 * How each layer of an image comes to a node: mounted while it is still in the
 * registry, pulled in parallel with the others, by itself, or left to whoever asks.
 * One decision by what the image has and what the configuration file says, pure, so
 * that it can be told, counted and tested. Where the file says nothing, nothing is
 * left to others: what cannot be lazy comes in parallel, layer by layer.
 */
import type { Configuration } from '../configuration/configuration.js';

/**
 * 'lazy': mounted by its ztoc. 'parallel': pulled and unpacked beside the image's other layers. 'plain': the same, by
 * itself when it is its turn. 'defer': whoever asked pulls it.
 */
export type PullMode = 'lazy' | 'parallel' | 'plain' | 'defer';

/** What is known of an image before any layer of it is fetched. */
export interface ModeSubject {
  /** Of the SOCI index that can be used; undefined: there is none, whatever the reason. */
  readonly index: 'v1' | 'v2' | undefined;
  /** In the order of the manifest. */
  readonly layers: readonly {
    /** Bytes as stored; undefined where nobody said. */
    readonly size: number | undefined;
    /** Whether the index has a ztoc for it. */
    readonly ztoc: boolean;
  }[];
}

export interface ModeDecision {
  readonly mode: PullMode;
  /** In words, with the key of the configuration file that decided. */
  readonly why: string;
}

/** What decides, of the configuration file. */
export type ModeConfiguration = Pick<Configuration, 'pullModes' | 'snapshotter'>;

/** One decision for each layer, in their order. */
export function decidePullModes(
  { index, layers }: ModeSubject,
  { pullModes, snapshotter }: ModeConfiguration,
): readonly ModeDecision[] {
  const { enable, parallelPullAsFallback } = pullModes.parallelPullUnpack;
  if (enable) return layers.map(() => ({ mode: 'parallel', why: 'parallel_pull_unpack.enable is true' }));
  const enabled = { v1: pullModes.sociV1.enable, v2: pullModes.sociV2.enable };
  if (index === undefined || !enabled[index]) {
    const lack =
      index === undefined ? 'no SOCI index can be used' : `pull_modes.soci_${index}.enable is false`;
    const decision: ModeDecision =
      parallelPullAsFallback === false
        ? { mode: 'defer', why: `${lack}, and parallel_pull_as_fallback is false` }
        : { mode: 'parallel', why: lack };
    return layers.map(() => decision);
  }
  // As the reference has it, such a layer comes alone where falling back is ruled out: all of the image would come.
  const otherwise = parallelPullAsFallback === false ? 'plain' : 'parallel';
  const { minLayerSize } = snapshotter;
  return layers.map(({ size, ztoc }): ModeDecision => {
    if (size !== undefined && size < minLayerSize) {
      return {
        mode: otherwise,
        why: `${size} bytes are less than snapshotter.min_layer_size, ${minLayerSize}`,
      };
    }
    return ztoc
      ? { mode: 'lazy', why: `the SOCI index (${index}) has its ztoc` }
      : { mode: otherwise, why: `the SOCI index (${index}) has no ztoc for it` };
  });
}
