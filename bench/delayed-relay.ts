/**
 * A TCP relay on loopback that holds bytes back as a link of some delay and
 * bandwidth does, for measurements that must run on any machine: a connection
 * costs a round trip before its first bytes, connections share the bandwidth.
 * What waits in front of the link is what is on its way in one round trip, as much
 * as routers are given for it. Slow start and loss are left out.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkSpeed } from './link.js';

export interface Relay {
  /** Address and port, in front of the server's. */
  readonly host: string;
  close(): Promise<void>;
}

/** One direction of the link. */
class Line {
  readonly #bytesPerMs: number;
  readonly #delayMs: number;
  readonly #queueMs: number;
  #freeAt = 0;

  constructor({ roundTripMs, megabits }: LinkSpeed) {
    this.#bytesPerMs = (megabits * 1e6) / 8 / 1000;
    this.#delayMs = roundTripMs / 2;
    this.#queueMs = roundTripMs;
  }

  /** ms until the queue in front of the line takes more. */
  get wait(): number {
    return this.#freeAt - performance.now() - this.#queueMs;
  }

  /** When bytes that are sent now have arrived at the other end. */
  send(bytes: number): number {
    this.#freeAt = Math.max(this.#freeAt, performance.now()) + bytes / this.#bytesPerMs;
    return this.#freeAt + this.#delayMs;
  }
}

/**
 * @param port of a server on 127.0.0.1
 * @param onSent told of all that a client sends, when it does
 */
export async function openRelay(port: number, speed: LinkSpeed, onSent?: () => void): Promise<Relay> {
  const up = new Line(speed);
  const down = new Line(speed);
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const upstream = connect({ port, host: '127.0.0.1' });
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket.setNoDelay());
      // Whatever ends one side ends the other, which is where it is reported.
      socket.on('error', () => peer.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        if (socket.errored !== null) peer.destroy();
      });
    }
    const handshake = performance.now() + speed.roundTripMs;
    if (onSent !== undefined) client.on('data', onSent);
    // What the server sends to somebody who has left goes on until it is told.
    client.on('close', () => setTimeout(() => upstream.destroy(), speed.roundTripMs / 2));
    forward(client, upstream, up, handshake + speed.roundTripMs / 2);
    forward(upstream, client, down);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Chunks in their order, each not before it has arrived. */
function forward(from: Socket, to: Socket, line: Line, earliest = 0): void {
  let last: Promise<void> = Promise.resolve();
  const at = (when: number, act: () => void): void => {
    last = last.then(async () => {
      const wait = when - performance.now();
      if (wait > 0) await sleep(wait);
      if (!to.destroyed) act();
    });
  };
  const arrival = (bytes: number): number => Math.max(line.send(bytes), earliest);
  const pauseWhileFull = (): void => {
    if (line.wait <= 0) {
      from.resume();
      return;
    }
    from.pause();
    setTimeout(pauseWhileFull, line.wait);
  };
  from.on('data', (chunk: Buffer) => {
    at(arrival(chunk.length), () => to.write(chunk));
    pauseWhileFull();
  });
  from.on('end', () => at(arrival(0), () => to.end()));
}
