/**
 * For how long a request that has left was not answered. While it waits for its turn, which says nothing of the host,
 * nothing is counted; when it leaves once more, redirected or tried again, all is counted anew.
 */

/** 'broken': something was heard in time, or nobody listens any more. */
export type SilenceOutcome = 'too long' | 'broken';

export class Silence {
  readonly outcome: Promise<SilenceOutcome>;
  readonly #ms: number;
  #decide: ((outcome: SilenceOutcome) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms that are not too long yet */
  constructor(ms: number) {
    this.#ms = ms;
    this.outcome = new Promise(resolve => {
      this.#decide = resolve;
    });
  }

  /** A request leaves. */
  begin(): void {
    this.pause();
    if (this.#decide !== undefined) this.#timer = setTimeout(() => this.#end('too long'), this.#ms);
  }

  /** A request waits for its turn. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  break(): void {
    this.#end('broken');
  }

  #end(outcome: SilenceOutcome): void {
    this.pause();
    this.#decide?.(outcome);
    this.#decide = undefined;
  }
}
