/**
 * A wire on which nothing happens by itself, and time that passes when it is told to: requests are answered,
 * filled and broken by the test, in whatever order it likes.
 */
import { AbortScope } from '../../lib/async/abort-scope.js';
import type { Clock } from '../../lib/source/http/clock.js';
import { HostTraffic, type TrafficParts } from '../../lib/source/http/host-traffic.js';
import type { HttpReply, HttpRequest, Send } from '../../lib/source/http/message.js';
import { parseTarget } from '../../lib/source/http/target.js';
import { Urgency } from '../../lib/source/lanes.js';

export class FakeClock implements Clock {
  #now = 1000;
  readonly #timers = new Set<{ readonly at: number; readonly act: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { at: this.#now + ms, act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.act();
    }
    this.#now = until;
  }
}

/** A request that is on the wire. */
export class Sent {
  readonly request: HttpRequest;
  readonly #resolve: (reply: HttpReply) => void;
  readonly #reject: (error: unknown) => void;
  #bytes = 0;
  #status: number | undefined;
  over = false;

  constructor(request: HttpRequest, resolve: (reply: HttpReply) => void, reject: (error: unknown) => void) {
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    request.signal.addEventListener('abort', () => this.fail(request.signal.reason), { once: true });
  }

  get answered(): boolean {
    return this.#status !== undefined;
  }

  get path(): string {
    return this.request.target.url.pathname.slice(1);
  }

  answer(status = 206, headers: Readonly<Record<string, string>> = {}): this {
    if (this.over || this.#status !== undefined) return this;
    this.#status = status;
    const reply = { request: this.request, status, header: (name: string) => headers[name] };
    this.request.watcher?.answered(reply as unknown as HttpReply);
    this.#resolve(reply as unknown as HttpReply);
    return this;
  }

  receive(bytes: number): this {
    if (this.over) return this;
    this.#bytes += bytes;
    this.request.watcher?.received(bytes);
    return this;
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.request.watcher?.ended(this.#status, this.#bytes);
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.request.watcher?.ended(this.#status, this.#bytes, { error });
    this.#reject(error);
  }
}

export interface Asking
  extends Partial<
    Pick<HttpRequest, 'urgency' | 'expected' | 'body' | 'limitTotalTime' | 'ifFull' | 'departure'>
  > {
  readonly lane?: Urgency['lane'];
  readonly signal?: AbortSignal;
  readonly host?: string;
}

/** Traffic over a wire of the test's. */
export class FakeWire {
  readonly clock = new FakeClock();
  readonly scope = new AbortScope();
  readonly traffic: HostTraffic;
  /** Everything that was ever sent, in this order. */
  readonly sent: Sent[] = [];
  readonly #send: Send;
  onSent: (sent: Sent) => void = () => {};

  constructor(connections: number, rate: () => number = () => 0, parts: Partial<TrafficParts> = {}) {
    this.traffic = new HostTraffic(rate, { clock: this.clock, ...parts });
    const wire: Send = request =>
      new Promise((resolve, reject) => {
        if (request.signal.aborted) {
          reject(request.signal.reason);
          return;
        }
        const sent = new Sent(request, resolve, reject);
        this.sent.push(sent);
        this.onSent(sent);
      });
    this.#send = this.traffic.inTurn(connections, this.scope)(wire);
  }

  /** Asks for `path`; what comes of it is the reply, or what it failed with. */
  ask(path: string, asking: Asking = {}): Promise<HttpReply> {
    const { lane, urgency = new Urgency(lane), signal, host = 'host', ...rest } = asking;
    const reply = this.#send({
      method: 'GET',
      target: parseTarget(`http://${host}/${path}`),
      headers: {},
      limitTotalTime: true,
      urgency,
      signal: signal ?? new AbortController().signal,
      ...rest,
    });
    // Looked at later, if at all.
    reply.catch(() => {});
    return reply;
  }

  /** Paths of the requests that are on the wire now. */
  get underWay(): string[] {
    return this.sent.filter(({ over }) => !over).map(({ path }) => path);
  }

  of(path: string): Sent {
    const found = this.sent.findLast(sent => sent.path === path);
    if (found === undefined) throw new Error(`${path} was not sent`);
    return found;
  }
}
