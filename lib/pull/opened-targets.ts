/** The targets of one pull, each with its staging folder: opened together, and made valid or given up together. */
import type { PullResult } from './pull-report.js';
import type { PullDestination, PullDestinationOptions, PullTarget } from './pull-target.js';
import { Staging } from './staging.js';

type PullTargetOptions = Omit<PullDestinationOptions, 'temporary'>;

interface OpenedTarget {
  readonly target: PullTarget;
  readonly staging: Staging;
  readonly destination: PullDestination;
}

export class OpenedTargets {
  readonly #targets: readonly PullTarget[];
  readonly #options: PullTargetOptions;
  readonly #stagings = new Map<PullTarget, Staging>();
  readonly #opened: OpenedTarget[] = [];
  readonly #outcomes = new Map<PullTarget, 'written' | 'unchanged'>();

  constructor(targets: readonly PullTarget[], options: PullTargetOptions) {
    this.#targets = targets;
    this.#options = options;
  }

  get destinations(): readonly PullDestination[] {
    return this.#opened.map(({ destination }) => destination);
  }

  /** Where blobs are kept on their way, if no store was named: beside the first target. */
  get staging(): Staging {
    return this.#stagings.get(this.#targets[0]!)!;
  }

  /** In the order in which they were named. */
  get outcomes(): PullResult['targets'] {
    return this.#targets.flatMap(target => {
      const outcome = this.#outcomes.get(target);
      const { tree } = this.#opened.find(({ target: opened }) => opened === target)?.destination ?? {};
      return outcome === undefined ? [] : [{ target: target.name, outcome, tree }];
    });
  }

  async check(): Promise<void> {
    for (const target of this.#targets) await target.check(this.#options.signal);
  }

  async open(): Promise<void> {
    // In one order for all pulls: two that wait for each other's archive would wait for ever.
    for (const target of [...this.#targets].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      const staging = await Staging.open(target.staging, this.#options);
      this.#stagings.set(target, staging);
      const destination = await target.open({ ...this.#options, temporary: staging.folder });
      this.#opened.push({ target, staging, destination });
    }
  }

  async commit(): Promise<void> {
    for (const { target, destination } of this.#opened) {
      this.#outcomes.set(target, await destination.commit(this.#options.signal));
    }
  }

  /** What is in the making goes; what was fetched stays, unless all targets have it. */
  async close(): Promise<void> {
    for (const { destination } of this.#opened) await destination.close();
    const isFinished = this.#outcomes.size === this.#targets.length;
    for (const staging of this.#stagings.values())
      await staging.close(isFinished ? 'finished' : 'interrupted');
  }
}
