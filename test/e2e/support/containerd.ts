/**
 * A containerd of the test's own, with its overlayfs snapshotter: what most containers
 * run on, hence what unpacked layers are held against.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Teardown } from '../../registry/fixture.js';
import { run, ServerProcess } from './process.js';
import { workspace } from './workspace.js';

export class Containerd {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static async start(t: Teardown): Promise<Containerd> {
    const folder = await workspace(t);
    const socket = join(folder, 'containerd.sock');
    const file = join(folder, 'config.toml');
    await writeFile(
      file,
      [
        // 1.6 and 2.x read this version.
        'version = 2',
        `root = "${folder}/root"`,
        `state = "${folder}/state"`,
        // Networks, and plugins that look at the machine's folders.
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]',
        `[grpc]\n  address = "${socket}"`,
        `[ttrpc]\n  address = "${socket}.ttrpc"`,
      ].join('\n'),
    );
    const containerd = new Containerd(socket);
    const ready = (): Promise<boolean> => containerd.#ctr('version').then(() => true);
    await ServerProcess.start(t, () => ({ name: 'containerd', args: ['-c', file], ready }));
    return containerd;
  }

  async pull(image: string): Promise<void> {
    await this.#ctr('images', 'pull', '--plain-http', '--snapshotter', 'overlayfs', image);
  }

  /** What a container of the image would see, and the folders that it is put together from, the lowest layer first. */
  async mounted(
    image: string,
    folder: string,
    look: (folders: readonly string[]) => Promise<void> | void,
  ): Promise<void> {
    await this.#ctr('images', 'mount', '--snapshotter', 'overlayfs', image, folder);
    try {
      const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map(line => line.split(' '));
      const options = mounts.find(([, place]) => place === folder)?.[3] ?? '';
      const folders = /lowerdir=([^,]*)/.exec(options)?.[1]?.split(':') ?? [];
      await look(folders.reverse());
    } finally {
      await this.#ctr('images', 'unmount', folder);
    }
  }

  async #ctr(...args: readonly string[]): Promise<string> {
    return (await run('ctr', ['-a', this.#socket, ...args])).toString();
  }
}
