/**
 * What requests need of undici: its Agent and its connector. Its front door loads
 * fetch, WebSocket, caches and mocks too, five modules for each of these, and a
 * command would wait for them longer than for its first answer. The package has no
 * map of what may be imported, and its version is an exact one.
 */
import type { Agent, buildConnector } from 'undici';

export interface UndiciParts {
  readonly Agent: typeof Agent;
  readonly buildConnector: typeof buildConnector;
}

/** Loads them when the first request is made: a program that reads a layout of this machine makes none. */
export async function undiciParts(): Promise<UndiciParts> {
  const [agent, connect] = await Promise.all([
    import('undici/lib/dispatcher/agent.js'),
    import('undici/lib/core/connect.js'),
  ]);
  return { Agent: agent.default, buildConnector: connect.default };
}
