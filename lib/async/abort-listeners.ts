/**
 * Who wants to know of a signal's abort: one listener per signal however many they are, since Node takes more than
 * ten for a leak and says so, and a program that passes one signal to all that it does has more at a time.
 */

interface Listening {
  readonly listeners: Set<() => void>;
  readonly onAbort: () => void;
}

const listeningTo = new WeakMap<AbortSignal, Listening>();

/** Calls `listener` once when `signal` is aborted, unless that has happened or the listener is removed before. */
export function addAbortListener(signal: AbortSignal | undefined, listener: () => void): void {
  if (signal === undefined || signal.aborted) return;
  let listening = listeningTo.get(signal);
  if (listening === undefined) {
    const listeners = new Set<() => void>();
    const onAbort = (): void => {
      listeningTo.delete(signal);
      for (const each of listeners) each();
    };
    listening = { listeners, onAbort };
    listeningTo.set(signal, listening);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  listening.listeners.add(listener);
}

/** Of a listener that is not there nothing is said. */
export function removeAbortListener(signal: AbortSignal | undefined, listener: () => void): void {
  const listening = signal && listeningTo.get(signal);
  if (signal === undefined || listening === undefined) return;
  listening.listeners.delete(listener);
  if (listening.listeners.size > 0) return;
  listeningTo.delete(signal);
  signal.removeEventListener('abort', listening.onAbort);
}
