/**
 * Makes connections that can be called off. undici forgets a socket until its
 * TCP and TLS handshakes are done, so destroying an Agent leaves the attempts
 * of a hung server open (and the process alive) until they time out.
 */
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

export class HttpConnector {
  readonly #connecting = new Set<Socket>();
  readonly connect: buildConnector.connector;

  /** @param timeout ms for TCP and TLS together */
  constructor(timeout: number) {
    const connect = buildConnector({ timeout }) as (
      options: buildConnector.Options,
      callback: buildConnector.Callback,
    ) => Socket;
    this.connect = (options, callback) => {
      const socket = connect(options, (...result) => {
        this.#connecting.delete(socket);
        callback(...result);
      });
      this.#connecting.add(socket);
    };
  }

  /** Destroys the sockets that are not connected yet. */
  cancel(): void {
    for (const socket of this.#connecting) socket.destroy(new Error('the transport was closed'));
    this.#connecting.clear();
  }
}
