/**
 * Why a request was not sent that is only worth sending at once: its host has
 * enough to do for those who wait. It says nothing of the host.
 */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';

  /** @param host as a URL's `host` */
  constructor(host: string) {
    super(`${host} has no room for a request that nobody need wait for`);
  }
}
