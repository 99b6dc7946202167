/**
 * A link with delay and bandwidth between two network namespaces, by a tool that
 * SEEKABLE_OCI_LINK names: `TOOL up ONEWAY_MS MBIT [-g]` makes the namespaces
 * net-cl and net-srv (10.77.0.2) and connects them (-g: for fast links), `TOOL
 * down` ends it. It needs root. Without it servers are on loopback.
 */
import { existsSync } from 'node:fs';
import { run } from './process.js';

export interface Link {
  readonly description: string;
  readonly serverAddress: string;
  /** A command that runs at this end of the link. */
  at(end: 'client' | 'server', command: string, args: readonly string[]): readonly [string, string[]];
  close(): Promise<void>;
}

export interface LinkSpeed {
  readonly roundTripMs: number;
  readonly megabits: number;
}

const NAMESPACE = { client: '/run/netns/net-cl', server: '/run/netns/net-srv' } as const;
/** Megabits per second above which segments are passed in large units: the machine is too slow for single ones. */
const LARGE_UNITS_ABOVE = 300;

export function linkTool(): string | undefined {
  return process.env['SEEKABLE_OCI_LINK'];
}

export function loopback(): Link {
  return {
    description: 'loopback (no SEEKABLE_OCI_LINK: no delay, no limit)',
    serverAddress: '127.0.0.1',
    at: (_end, command, args) => [command, [...args]],
    close: async () => {},
  };
}

export async function openLink(tool: string, { roundTripMs, megabits }: LinkSpeed): Promise<Link> {
  if (existsSync(NAMESPACE.client)) {
    throw new Error(`${NAMESPACE.client} exists: is the link in use? '${tool} down' ends it`);
  }
  const large = megabits > LARGE_UNITS_ABOVE ? ['-g'] : [];
  await run(tool, ['up', String(roundTripMs / 2), String(megabits), ...large]);
  return {
    description: `${roundTripMs} ms round trip, ${megabits} Mbit/s`,
    serverAddress: '10.77.0.2',
    at: (end, command, args) => ['nsenter', [`--net=${NAMESPACE[end]}`, command, ...args]],
    close: async () => {
      await run(tool, ['down']);
    },
  };
}
