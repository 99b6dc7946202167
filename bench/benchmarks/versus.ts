/**
 * The command as people run it, a process from start to end, against what they do
 * without it: skopeo(1) copies the image, tar(1) looks into its layers.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '../docker-registry.js';
import { type Link, type LinkSpeed, linkTool, loopback, openLink } from '../link.js';
import { type MachineImage, machineImage } from '../machine-image.js';
import { type Measures, run } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Results, value } from '../rounds.js';

const ROUNDS = 5;
const SPEED: LinkSpeed = { roundTripMs: 20, megabits: 200 };
const TITLE = 'the command and its peers';
const COMMAND = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** Layers of the copy from the uppermost down: the first that has the file has the one a container sees. */
const ONE_FILE =
  'for hex in $(jq -r ".layers[].digest[7:]" "$0/manifest.json" | tac); do tar -xzOf "$0/$hex" "$1" 2>/dev/null && exit; done';
const ALL_NAMES =
  'for hex in $(jq -r ".layers[].digest[7:]" "$0/manifest.json"); do tar -tzf "$0/$hex"; done';

interface Task {
  readonly name: string;
  readonly ours: (reference: string, image: MachineImage) => readonly string[];
  /** Of bash, with the copy's folder and what else it needs. */
  readonly script: string;
  readonly argument: (image: MachineImage) => string;
}

const TASKS: readonly Task[] = [
  {
    name: 'one small file',
    ours: (reference, image) => ['cat', reference, image.smallFile],
    script: ONE_FILE,
    argument: image => image.smallFile.slice(1),
  },
  { name: 'all names', ours: reference => ['find', reference], script: ALL_NAMES, argument: () => '' },
];

export async function versus(): Promise<Report> {
  const image = await machineImage();
  const missing = [
    ...(image === undefined ? ['docker-registry'] : []),
    ...['skopeo', 'jq'].filter(tool => spawnSync(tool, ['--version']).error !== undefined),
  ];
  if (image === undefined || missing.length > 0) {
    const conditions = `needs ${missing.join(', ')} (Debian packages of that name)`;
    return { title: TITLE, conditions, rows: [{ name: 'not measured', value: '' }], raw: {} };
  }
  const tool = linkTool();
  const link = tool === undefined ? loopback() : await openLink(tool, SPEED);
  try {
    const results = await measure(image, link);
    return {
      title: TITLE,
      conditions:
        `${(image.bytes / 1e6).toFixed(0)} MB compressed, ${image.names} names in ${image.layers} layers, docker-registry, ` +
        `plain HTTP; ${link.description}; whole processes; medians of ${ROUNDS}`,
      rows: TASKS.flatMap(task => rows(results, task.name)),
      raw: results.raw,
    };
  } finally {
    await link.close();
  }
}

async function measure(image: MachineImage, link: Link): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-versus-'));
  const registry = await startDockerRegistry(image.storage, link);
  const reference = `${registry.host}/bench/v2:latest`;
  const cache = join(folder, 'cache');
  const copy = join(folder, 'copy');
  const ours = (task: Task) => async () => {
    const args = [COMMAND, ...task.ours(reference, image), '--plain-http', '--quiet', '--cache-dir', cache];
    return timed(link, process.execPath, args);
  };
  const cold = (task: Task) => async () => {
    rmSync(cache, { recursive: true, force: true });
    return ours(task)();
  };
  const theirs = (task: Task) => async () => {
    rmSync(copy, { recursive: true, force: true });
    const script = `skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$2" "dir:$0" && { ${task.script}; }`;
    return timed(link, 'bash', ['-c', script, copy, task.argument(image), reference]);
  };
  try {
    return await inRounds(
      ROUNDS,
      TASKS.flatMap(task => [
        { name: `${task.name}, nothing kept`, run: cold(task) },
        { name: `${task.name}, again`, run: ours(task) },
        { name: `${task.name}, skopeo and tar`, run: theirs(task) },
      ]),
    );
  } finally {
    await registry.stop();
    rmSync(folder, { recursive: true });
  }
}

async function timed(link: Link, command: string, args: readonly string[]): Promise<Measures> {
  const start = performance.now();
  const output = await run(...link.at('client', command, args));
  if (output.length === 0) throw new Error(`${command} ${args.join(' ')}: printed nothing`);
  return { milliseconds: performance.now() - start };
}

function rows(results: Results, task: string): Row[] {
  const milliseconds = (name: string): number => value(results.of(`${task}, ${name}`), 'milliseconds');
  const peer = milliseconds('skopeo and tar');
  return ['nothing kept', 'again', 'skopeo and tar'].map(name => ({
    name: `${task}, ${name}`,
    value: `${milliseconds(name).toFixed(0)} ms`,
    ratio: name === 'skopeo and tar' ? '' : `${times(peer / milliseconds(name))} as fast`,
  }));
}
