/** The decision as a table: what an image has and what the file says, and what becomes of its layers. */
import t from 'tap';
import { parseConfiguration } from '../../lib/configuration/configuration.js';
import { decidePullModes, type ModeSubject } from '../../lib/pull/pull-mode.js';

const LAYERS = [
  { size: 10_000_000, ztoc: true },
  { size: 1000, ztoc: true },
  { size: 5_000_000, ztoc: false },
  { size: undefined, ztoc: true },
];
const V2: ModeSubject = { index: 'v2', layers: LAYERS };
const V1: ModeSubject = { index: 'v1', layers: LAYERS };
const NONE: ModeSubject = { index: undefined, layers: LAYERS.map(layer => ({ ...layer, ztoc: false })) };

const PARALLEL = '[pull_modes.parallel_pull_unpack]\n';
const SMALL = '[snapshotter]\nmin_layer_size = 10000\n';

const ROWS: readonly [name: string, file: string, subject: ModeSubject, modes: string, why: RegExp][] = [
  ['nothing said, v2', '', V2, 'lazy lazy parallel lazy', /\(v2\) has its ztoc/],
  [
    'nothing said, v1, which is off',
    '',
    V1,
    'parallel parallel parallel parallel',
    /soci_v1\.enable is false/,
  ],
  [
    'v1 switched on',
    '[pull_modes.soci_v1]\nenable = true\n',
    V1,
    'lazy lazy parallel lazy',
    /\(v1\) has its ztoc/,
  ],
  [
    'v2 switched off',
    '[pull_modes.soci_v2]\nenable = false\n',
    V2,
    'parallel parallel parallel parallel',
    /soci_v2/,
  ],
  ['no index', '', NONE, 'parallel parallel parallel parallel', /no SOCI index can be used/],
  [
    'no index, fallback',
    `${PARALLEL}parallel_pull_as_fallback = true\n`,
    NONE,
    'parallel parallel parallel parallel',
    /no SOCI/,
  ],
  [
    'no index, no fallback',
    `${PARALLEL}parallel_pull_as_fallback = false\n`,
    NONE,
    'defer defer defer defer',
    /is false/,
  ],
  [
    'the reference’s spelling',
    `${PARALLEL}experimental_parallel_pull_as_fallback = false\n`,
    NONE,
    'defer defer defer defer',
    /parallel_pull_as_fallback is false/,
  ],
  [
    'an index, no fallback',
    `${PARALLEL}parallel_pull_as_fallback = false\n`,
    V2,
    'lazy lazy plain lazy',
    /ztoc/,
  ],
  [
    'always parallel',
    `${PARALLEL}enable = true\n`,
    V2,
    'parallel parallel parallel parallel',
    /enable is true/,
  ],
  [
    'always parallel, whatever falls back',
    `${PARALLEL}enable = true\nparallel_pull_as_fallback = false\n`,
    NONE,
    'parallel parallel parallel parallel',
    /enable is true/,
  ],
  ['small layers', SMALL, V2, 'lazy parallel parallel lazy', /ztoc/],
  [
    'small layers, no fallback',
    `${SMALL}${PARALLEL}parallel_pull_as_fallback = false\n`,
    V2,
    'lazy plain plain lazy',
    /ztoc/,
  ],
  ['no least size', '[snapshotter]\nmin_layer_size = -1\n', V2, 'lazy lazy parallel lazy', /ztoc/],
];

for (const [name, file, subject, modes, why] of ROWS) {
  t.test(name, async t => {
    const decisions = decidePullModes(subject, await parseConfiguration(file));
    t.equal(decisions.map(({ mode }) => mode).join(' '), modes);
    t.match(decisions[0]?.why, why);
  });
}

t.test('why is told for each layer', async t => {
  const decisions = decidePullModes(V2, await parseConfiguration(SMALL));
  t.match(decisions[1]?.why, '1000 bytes are less than snapshotter.min_layer_size, 10000');
  t.match(decisions[2]?.why, /has no ztoc for it/);
  t.same(decidePullModes({ index: 'v2', layers: [] }, await parseConfiguration('')), []);
});
