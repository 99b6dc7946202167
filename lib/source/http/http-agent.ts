/**
 * An undici Agent whose attempts to connect can be called off. undici forgets a
 * socket until its TCP and TLS handshakes are done, so destroying an Agent
 * leaves the attempts of a hung server open (and the process alive) until they
 * time out.
 *
 * undici is loaded with the first of them: that takes longer than all else a program
 * that reads a layout of this machine has to load, and it makes no request.
 */
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';

export class HttpAgent {
  readonly dispatcher: Agent;
  readonly #connecting = new Set<Socket>();

  /**
   * @param undici loaded
   * @param connections most of them, per origin
   * @param options of each; `timeout` is for TCP and TLS together
   */
  constructor(
    { Agent, buildConnector }: Pick<typeof import('undici'), 'Agent' | 'buildConnector'>,
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
