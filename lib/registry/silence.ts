/**
 * For how long a request that has left was not answered. While it waits for its turn, which says nothing of the host,
 * nothing is counted; when it leaves once more, redirected or tried again, all is counted anew.
 */
export class Silence {
  /** Whether it lasted too long; false once that is not asked any more. */
  readonly isLong: Promise<boolean>;
  readonly #ms: number;
  #decide: ((isLong: boolean) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms that are not too long yet */
  constructor(ms: number) {
    this.#ms = ms;
    this.isLong = new Promise(resolve => {
      this.#decide = resolve;
    });
  }

  /** A request leaves. */
  begin(): void {
    this.pause();
    if (this.#decide !== undefined) this.#timer = setTimeout(() => this.#over(true), this.#ms);
  }

  /** A request waits for its turn. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Something was heard, or nobody listens any more. */
  end(): void {
    this.#over(false);
  }

  #over(isLong: boolean): void {
    clearTimeout(this.#timer);
    this.#decide?.(isLong);
    this.#decide = undefined;
  }
}
