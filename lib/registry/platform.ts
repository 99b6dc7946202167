/**
 * Platforms, normalised and compared as containerd does it. Normal forms serve
 * matching only: what goes back into a document is always the verbatim object
 * (`variant: "v8"` stays, although arm64 and arm64/v8 are the same machine).
 */
import { arch as nodeArch, platform as nodePlatform } from 'node:os';

import { SociError } from '../errors.js';

/** The platform object of a descriptor, with the names of the OCI image specification. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
  readonly variant?: string;
}

const NODE_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm: 'arm',
  arm64: 'arm64',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
  mips: 'mips',
  mipsel: 'mipsle',
};

const KNOWN_OS: ReadonlySet<string> = new Set([
  'aix',
  'android',
  'darwin',
  'dragonfly',
  'freebsd',
  'illumos',
  'ios',
  'js',
  'linux',
  'netbsd',
  'openbsd',
  'plan9',
  'solaris',
  'windows',
]);
const KNOWN_ARCHITECTURES: ReadonlySet<string> = new Set([
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips',
  'mips64',
  'mips64le',
  'mipsle',
  'ppc64',
  'ppc64le',
  'riscv64',
  's390x',
  'wasm',
]);
const COMPONENT = /^[A-Za-z0-9_.-]+$/;

function normalizeOs(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normalizeArm(variant: string): string {
  return variant === '' ? 'v7' : /^[5-8]$/.test(variant) ? `v${variant}` : variant;
}

function normalizeArm64(variant: string): string {
  if (/^v?8(\.0)?$/.test(variant)) {
    return '';
  }
  return /^v?9(\.0)?$/.test(variant) ? 'v9' : variant;
}

function normalizeArchitecture(
  architecture: string,
  variant: string,
): { architecture: string; variant: string } {
  switch (architecture) {
    case 'i386':
      return { architecture: '386', variant: '' };
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: variant === 'v1' ? '' : variant };
    case 'aarch64':
    case 'arm64':
      return { architecture: 'arm64', variant: normalizeArm64(variant) };
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' };
    case 'armel':
      return { architecture: 'arm', variant: 'v6' };
    case 'arm':
      return { architecture: 'arm', variant: normalizeArm(variant) };
    default:
      return { architecture, variant };
  }
}

/** The form that is compared: lower case, Go's names, default variants dropped (amd64/v1, arm64/v8) or added (arm is v7). */
export function normalizePlatform(platform: Platform): Platform {
  const cpu = normalizeArchitecture(
    platform.architecture.toLowerCase(),
    (platform.variant ?? '').toLowerCase(),
  );
  const version = platform['os.version'];
  const features = platform['os.features'];
  return {
    architecture: cpu.architecture,
    os: normalizeOs(platform.os),
    ...(version === undefined || version === '' ? {} : { 'os.version': version }),
    ...(features === undefined || features.length === 0 ? {} : { 'os.features': [...features].sort() }),
    ...(cpu.variant === '' ? {} : { variant: cpu.variant }),
  };
}

/** The platform of images that run on this machine: Linux containers on macOS, Windows ones on Windows. */
export function hostPlatform(): Platform {
  const os = nodePlatform();
  const architecture = NODE_ARCHITECTURES[nodeArch()] ?? nodeArch();
  return normalizePlatform({ os: os === 'win32' ? 'windows' : os === 'darwin' ? 'linux' : os, architecture });
}

/**
 * Reads `os`, `arch`, `os/arch` or `os/arch/variant`; the os may carry a version: `windows(10.0.17763)/amd64`.
 * What is left out is taken from the host.
 *
 * @throws SociError ERR_SOCI_PLATFORM
 */
export function parsePlatform(text: string): Platform {
  const parsed = /^([^/()]+)(?:\(([^()/]*)\))?(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(text);
  const [, first = '', version, architecture, variant] = parsed ?? [];
  const parts = [first, version, architecture, variant].filter(part => part !== undefined && part !== '');
  if (parsed === null || !parts.every(part => COMPONENT.test(part!))) {
    throw new SociError(
      'ERR_SOCI_PLATFORM',
      `Platform ${JSON.stringify(text.slice(0, 100))}: expected os/arch or os/arch/variant, e.g. linux/arm64`,
      { data: { platform: text.slice(0, 100) } },
    );
  }
  const host = hostPlatform();
  if (architecture !== undefined) {
    return normalizePlatform({
      os: first,
      architecture,
      ...(version === undefined ? {} : { 'os.version': version }),
      ...(variant === undefined ? {} : { variant }),
    });
  }
  const alone = normalizePlatform({ os: first, architecture: first });
  if (KNOWN_OS.has(alone.os)) {
    return { ...host, os: alone.os, ...(version === undefined ? {} : { 'os.version': version }) };
  }
  if (KNOWN_ARCHITECTURES.has(alone.architecture) && version === undefined) {
    return normalizePlatform({ ...alone, os: host.os });
  }
  throw new SociError(
    'ERR_SOCI_PLATFORM',
    `Platform ${JSON.stringify(text)}: neither a known operating system nor a known architecture`,
    { data: { platform: text } },
  );
}

/** `os/arch[/variant]`, with the os version in parentheses when there is one. */
export function formatPlatform(platform: Platform): string {
  const version = platform['os.version'];
  const os = version === undefined || version === '' ? platform.os : `${platform.os}(${version})`;
  const variant = platform.variant === undefined || platform.variant === '' ? '' : `/${platform.variant}`;
  return `${os}/${platform.architecture}${variant}`;
}

/** Windows images run on the same build; the revision (the fourth number) does not matter. */
function osVersionMatches(wanted: string | undefined, offered: string | undefined): boolean {
  if (wanted === undefined || offered === undefined) {
    return true;
  }
  const build = (version: string): string => version.split('.').slice(0, 3).join('.');
  return wanted === offered || build(wanted) === build(offered);
}

/** Whether both name the same platform after normalisation, without any fall-back to lesser variants. */
export function samePlatform(a: Platform, b: Platform): boolean {
  const [left, right] = [normalizePlatform(a), normalizePlatform(b)];
  return (
    left.os === right.os &&
    left.architecture === right.architecture &&
    (left.variant ?? '') === (right.variant ?? '') &&
    osVersionMatches(left['os.version'], right['os.version'])
  );
}

/** Every (architecture, variant) that the wanted machine can run, best first, as containerd's platformVector. */
function runnable(wanted: Platform): { architecture: string; variant: string }[] {
  const { architecture, variant = '' } = wanted;
  const level = Number(/^v(\d+)/.exec(variant)?.[1] ?? '0');
  const vector = [{ architecture, variant }];
  if (architecture === 'amd64') {
    for (let lower = level - 1; lower >= 1; lower--) {
      vector.push({ architecture, variant: lower === 1 ? '' : `v${lower}` });
    }
    vector.push({ architecture: '386', variant: '' });
  } else if (architecture === 'arm') {
    for (let lower = level - 1; lower >= 5; lower--) {
      vector.push({ architecture, variant: `v${lower}` });
    }
  } else if (architecture === 'arm64') {
    const minor = Number(/^v\d+\.(\d+)$/.exec(variant)?.[1] ?? '0');
    for (let lower = minor - 1; lower >= 0; lower--) {
      vector.push({
        architecture,
        variant: lower > 0 ? `v${level}.${lower}` : level === 8 ? '' : `v${level}`,
      });
    }
    if (level >= 9) {
      vector.push({ architecture, variant: '' });
    }
    for (let lower = 8; lower >= 5; lower--) {
      vector.push({ architecture: 'arm', variant: `v${lower}` });
    }
  }
  return vector;
}

/** How well `offered` runs where `wanted` is asked for: 0 is exact, higher is worse, undefined is not at all. */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  const want = normalizePlatform(wanted);
  const offer = normalizePlatform(offered);
  if (want.os !== offer.os || !osVersionMatches(want['os.version'], offer['os.version'])) {
    return undefined;
  }
  const variant = offer.variant ?? '';
  const rank = runnable(want).findIndex(
    cpu => cpu.architecture === offer.architecture && cpu.variant === variant,
  );
  return rank < 0 ? undefined : rank;
}

/** The best of `candidates` for `wanted`, in their order: several when they are equally good. */
export function bestPlatformMatches<T extends { readonly platform?: Platform | undefined }>(
  wanted: Platform,
  candidates: Iterable<T>,
): readonly T[] {
  let best: T[] = [];
  let bestRank = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const rank = candidate.platform === undefined ? undefined : platformRank(wanted, candidate.platform);
    if (rank === undefined || rank > bestRank) continue;
    best = rank < bestRank ? [candidate] : [...best, candidate];
    bestRank = rank;
  }
  return best;
}

/** The first of them. */
export function bestPlatformMatch<T extends { readonly platform?: Platform | undefined }>(
  wanted: Platform,
  candidates: Iterable<T>,
): T | undefined {
  return bestPlatformMatches(wanted, candidates)[0];
}
