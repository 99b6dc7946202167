/**
 * From an image in a registry to a finished tree on disk, every digest proved:
 * ours without an index and with one, against containerd (its overlayfs
 * snapshotter), skopeo and umoci, and curl with tar. Page cache dropped before
 * each round; nobody syncs.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImage } from '../../lib/index.js';
import { hasDockerRegistry, startDockerRegistry } from '../docker-registry.js';
import { loopback } from '../link.js';
import { type Measures, run } from '../process.js';
import { type PullImageName, pullImages } from '../pull-images.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Results, type Variant, value } from '../rounds.js';

const ROUNDS = 5;
const TITLE = 'pulling an image to a tree on disk';
const OURS = 'ours, no index';
const INDEXED = 'ours, with ztocs';
const CONTAINERD = 'containerd, overlayfs';
const SKOPEO = 'skopeo + umoci';
const CURL = 'curl | tar -xz';

const NAMES: Readonly<Record<PullImageName, string>> = {
  one: 'one layer of this machine’s files',
  ten: 'the same in ten layers',
  small: '60,000 files of 2 KiB',
};
/** How many times as fast as each peer, in the order of the images. */
const AIMS: Readonly<Record<string, Partial<Record<PullImageName, number>>>> = {
  [CONTAINERD]: { one: 1.8, ten: 1.8, small: 1.5 },
  [SKOPEO]: { one: 3 },
  [CURL]: { one: 1.9 },
};
const INDEXED_AIM = 2;

/** What a command has used, as the shell's `times` does not say it: children of children included. */
const MEASURED = ['/usr/bin/time', '-f', '%e %U %S %M', '-o'] as const;

export async function pull(): Promise<Report> {
  if (process.getuid?.() !== 0 || !hasDockerRegistry() || !existsSync(MEASURED[0])) {
    return {
      title: TITLE,
      conditions: 'needs root, docker-registry and GNU time (the Debian packages of these names)',
      rows: [{ name: 'not measured', value: '' }],
      raw: {},
    };
  }
  const storage = join(await pullImages(), 'storage');
  const registry = await startDockerRegistry(storage, loopback());
  const folder = mkdtempSync(join(tmpdir(), 'seekable-oci-pull-'));
  const daemon = await Containerd.start(join(folder, 'containerd'));
  try {
    const raw: Record<string, unknown> = {};
    const rows: Row[] = [];
    const failures: string[] = [];
    for (const name of Object.keys(NAMES) as PullImageName[]) {
      const { bytes, blobs } = await layersOf(`${registry.host}/bench/${name}:plain`);
      const results = await inRounds(ROUNDS, variants({ name, host: registry.host, folder, daemon, blobs }));
      rows.push({ name: `[${NAMES[name]}, ${(bytes / 1e6).toFixed(0)} MB]`, value: '' });
      rows.push(...resultRows(name, results, failures));
      raw[name] = results.raw;
    }
    return {
      title: TITLE,
      conditions: `docker-registry on loopback; ${versions(daemon)}; page cache dropped; medians of ${ROUNDS}; seconds, CPU seconds of all processes of the client, MB of the largest`,
      rows,
      failures,
      raw,
    };
  } finally {
    await daemon?.stop();
    await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly name: PullImageName;
  readonly host: string;
  readonly folder: string;
  readonly daemon: Containerd | undefined;
  readonly blobs: readonly string[];
}

function variants({ name, host, folder, daemon, blobs }: Place): Variant[] {
  const repository = `${host}/bench/${name}`;
  const target = join(folder, 'target');
  const ours = (tag: string): Promise<Measures> => {
    const command = ['dist/command/main.js', 'pull', `${repository}:${tag}`, `rootfs:${target}`];
    return measured(target, [process.execPath, ...command, '--store', join(folder, 'store'), '--quiet']);
  };
  const all: Variant[] = [
    { name: OURS, run: () => ours('plain') },
    { name: INDEXED, run: () => ours('indexed') },
    {
      name: CURL,
      run: () => {
        const script = `mkdir -p "$0" && for url in "$@"; do curl -sS "$url" | tar -xz -C "$0" || exit 1; done`;
        const urls = blobs.map(blob => `http://${host}/v2/bench/${name}/blobs/${blob}`);
        return measured(target, ['bash', '-o', 'pipefail', '-c', script, target, ...urls]);
      },
    },
  ];
  if (has('skopeo') && has('umoci')) {
    const script = `skopeo copy -q --src-tls-verify=false "docker://$1" "oci:$0-oci:x" && umoci --log=error unpack --image "$0-oci:x" "$0"`;
    const run = async (): Promise<Measures> => {
      rmSync(`${target}-oci`, { recursive: true, force: true });
      return await measured(target, ['bash', '-c', script, target, `${repository}:plain`]);
    };
    all.push({ name: SKOPEO, run });
  }
  if (daemon !== undefined)
    all.push({ name: CONTAINERD, run: () => daemon.pull(`${repository}:plain`, target) });
  return all;
}

/** Runs a command on cold caches, to a target that is not there. */
async function measured(target: string, command: readonly string[]): Promise<Measures> {
  for (const old of [target, join(target, '../store')]) rmSync(old, { recursive: true, force: true });
  await run('bash', ['-c', 'sync; echo 3 > /proc/sys/vm/drop_caches']);
  const log = `${target}.time`;
  await run(MEASURED[0], [...MEASURED.slice(1), log, ...command]);
  const [seconds = 0, user = 0, system = 0, kilobytes = 0] = (await run('cat', [log]))
    .trim()
    .split(' ')
    .map(Number);
  return { seconds, cpu: user + system, megabytes: kilobytes / 1000 };
}

/** One of its own, whose CPU time counts with its client's. */
class Containerd {
  readonly version: string;
  readonly #folder: string;
  readonly #binary: string;
  readonly #pid: number;
  readonly #ended: Promise<unknown>;

  private constructor(folder: string, binary: string, pid: number, ended: Promise<unknown>) {
    this.#folder = folder;
    this.#binary = binary;
    this.#pid = pid;
    this.#ended = ended;
    this.version = spawnSync(binary, ['--version']).stdout.toString().split(' ')[2] ?? '';
  }

  /** Undefined where it is not installed; SEEKABLE_OCI_CONTAINERD names another binary, with `ctr` beside it. */
  static async start(folder: string): Promise<Containerd | undefined> {
    const binary = process.env['SEEKABLE_OCI_CONTAINERD'] ?? 'containerd';
    if (spawnSync(binary, ['--version']).status !== 0) return undefined;
    mkdirSync(folder);
    const configuration = join(folder, 'config.toml');
    const paths = `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n`;
    writeFileSync(configuration, `${paths}[grpc]\n  address = "${folder}/socket"\n`);
    const child = spawn(binary, ['-c', configuration], { stdio: 'ignore' });
    const started = new Containerd(folder, binary, child.pid ?? 0, once(child, 'close'));
    for (let attempt = 0; attempt < 100 && !existsSync(join(folder, 'socket')); attempt++) {
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    return started;
  }

  async pull(reference: string, target: string): Promise<Measures> {
    const ctr = [this.#binary.replace(/containerd$/, 'ctr'), '-a', join(this.#folder, 'socket')];
    await run(ctr[0] as string, [...ctr.slice(1), 'images', 'rm', '--sync', reference]).catch(() => '');
    await run('bash', ['-c', `${ctr.join(' ')} content prune references >/dev/null 2>&1 || true`]);
    const before = this.#cpuSeconds();
    const got = await measured(target, [
      ...ctr,
      'images',
      'pull',
      '--plain-http',
      '--snapshotter',
      'overlayfs',
      reference,
    ]);
    return { ...got, cpu: value(got, 'cpu') + this.#cpuSeconds() - before, megabytes: Number.NaN };
  }

  async stop(): Promise<void> {
    process.kill(this.#pid);
    await this.#ended;
  }

  #cpuSeconds(): number {
    const fields =
      spawnSync('cat', [`/proc/${this.#pid}/stat`])
        .stdout.toString()
        .split(') ')[1]
        ?.split(' ') ?? [];
    // utime, stime and those of children that were waited for, in ticks of 10 ms (proc(5)).
    return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / 100;
  }
}

function resultRows(name: PullImageName, results: Results, failures: string[]): Row[] {
  const ours = value(results.of(OURS), 'seconds');
  const indexed = value(results.of(INDEXED), 'seconds');
  return Object.keys(results.raw).map(variant => {
    const got = results.of(variant);
    const spent = `${value(got, 'cpu').toFixed(1)} s CPU, ${value(got, 'megabytes').toFixed(0)} MB`;
    const seconds = value(got, 'seconds');
    const row = { name: variant, value: `${seconds.toFixed(2)} s` };
    if (variant === OURS || variant === INDEXED) return { ...row, ratio: spent };
    const aim = AIMS[variant]?.[name];
    const faster = seconds / ours;
    if (aim !== undefined && faster < aim)
      failures.push(`${NAMES[name]}: ${times(faster)} of ${variant}, expected ${aim}×`);
    const withIndex = seconds / indexed;
    if (variant === CONTAINERD && name === 'one' && withIndex < INDEXED_AIM) {
      failures.push(
        `${NAMES[name]}, with ztocs: ${times(withIndex)} of ${variant}, expected ${INDEXED_AIM}×`,
      );
    }
    const wanted = aim === undefined ? '' : ` (aim ≥ ${aim}×)`;
    return {
      ...row,
      ratio: `ours is ${times(faster)} as fast${wanted}, with ztocs ${times(withIndex)}; ${spent}`,
    };
  });
}

async function layersOf(
  reference: string,
): Promise<{ readonly bytes: number; readonly blobs: readonly string[] }> {
  await using image = await openImage(reference, { hosts: { '*': { plainHttp: true } }, index: false });
  const layers = image.layers.map(({ descriptor }) => descriptor);
  return {
    bytes: layers.reduce((sum, { size }) => sum + size, 0),
    blobs: layers.map(({ digest }) => digest),
  };
}

function has(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

function versions(daemon: Containerd | undefined): string {
  const version = (command: string): string =>
    `${command} ${/\d+\.\d+\.\d+/.exec(spawnSync(command, ['--version']).stdout?.toString() ?? '')?.[0] ?? 'not installed'}`;
  return [
    `containerd ${daemon?.version ?? 'not installed'}`,
    version('skopeo'),
    version('umoci'),
    version('tar'),
  ].join(', ');
}
