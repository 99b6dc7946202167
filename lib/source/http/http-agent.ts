/**
 * An undici Agent whose attempts to connect can be called off. undici forgets a
 * socket until its TCP and TLS handshakes are done, so destroying an Agent
 * leaves the attempts of a hung server open (and the process alive) until they
 * time out.
 */
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import type { UndiciParts } from './undici-parts.js';

export class HttpAgent {
  readonly dispatcher: Agent;
  readonly #connecting = new Set<Socket>();

  /**
   * @param parts of undici, loaded
   * @param connections most of them, per origin
   * @param options of each; `timeout` is for TCP and TLS together
   */
  constructor(
    { Agent, buildConnector }: UndiciParts,
    connections: number,
    options: buildConnector.BuildOptions,
  ) {
    const connector = buildConnector(options) as (
      options: buildConnector.Options,
      callback: buildConnector.Callback,
    ) => Socket;
    const connect: buildConnector.connector = (options, callback) => {
      const socket = connector(options, (...result) => {
        this.#connecting.delete(socket);
        callback(...result);
      });
      this.#connecting.add(socket);
    };
    this.dispatcher = new Agent({ connections, connect });
  }

  /** Ends what is connected and what is not yet. */
  async destroy(): Promise<void> {
    const destroyed = this.dispatcher.destroy();
    for (const socket of this.#connecting) socket.destroy(new Error('the transport was closed'));
    this.#connecting.clear();
    await destroyed;
  }
}
