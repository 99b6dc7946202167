/**
 * Why a request was broken off that nobody has called off and that has not
 * failed: somebody waits for something more urgent of the same host. Whoever
 * reads goes on where its bytes ended, as soon as it is its turn again.
 */
export class Preempted extends Error {
  override readonly name = 'Preempted';

  /** @param host as a URL's `host` */
  constructor(host: string) {
    super(`a more urgent request to ${host} took its place`);
  }
}
