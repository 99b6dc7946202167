/** The types of load orders, as a program that is checked strictly sees them. */
import { createReadStream } from 'node:fs';
import {
  deriveLoadOrder,
  encodeLoadOrder,
  type FoundLoadOrder,
  findLoadOrder,
  type Image,
  importTrace,
  type LoadOrder,
  type LoadPlan,
  mergeTraces,
  type PlatformManifest,
  type PrefetchArtifact,
  type PrefetchFailure,
  type PrefetchProgress,
  type PrefetchReport,
  parseLoadOrder,
  prefetchArtifacts,
  pushLoadOrder,
  type Repository,
  type Trace,
  traceOf,
} from 'seekable-oci';
import { expectType } from './equal.js';

declare const image: Image;
declare const manifest: PlatformManifest;
declare const repository: Repository;
declare const signal: AbortSignal | undefined;
declare const undefinedText: string | undefined;

export async function loadOrders(): Promise<void> {
  using recording = await image.record({ signal });
  expectType<Trace>()(recording.stop());
  const order = mergeTraces([recording.stop()], 'serve');
  expectType<LoadOrder>()(order);
  expectType<Trace>()(traceOf(order));
  expectType<LoadOrder>()(parseLoadOrder(encodeLoadOrder(order), 'a file'));
  const { trace, leftOut } = await importTrace(image, createReadStream('log'), {
    root: undefinedText,
    signal,
  });
  expectType<Trace>()(trace);
  expectType<number>()(leftOut);
  const derived = await deriveLoadOrder(image, { workload: undefinedText, command: ['app'], signal });
  expectType<LoadOrder>()(derived.order);
  const plan = await image.planLoads(order, { signal });
  expectType<LoadPlan>()(plan);
  expectType<'prefetch' | 'background' | undefined>()(plan.steps[0]?.lane);
  expectType<PrefetchArtifact[]>()(prefetchArtifacts(plan));
  const report = await image.prefetch(order, {
    signal,
    maxBytesPerSecond: undefined,
    onProgress: progress => expectType<PrefetchProgress>()(progress),
  });
  expectType<PrefetchReport>()(report);
  expectType<readonly PrefetchFailure[]>()(report.failures);
  await image.prefetch(['/usr/lib', '*.so'] as const);
  await image.prefetch('all');
  await image.prefetch('soci');
  // @ts-expect-error: paths are a list, so that a file may be called 'all'
  await image.prefetch('/usr/lib');
  await pushLoadOrder(repository, manifest, order, { replace: true, signal });
  expectType<FoundLoadOrder | undefined>()(await findLoadOrder(repository, manifest, 'serve', { signal }));
  await findLoadOrder(repository, manifest, all => all.find(({ workload }) => workload === 'serve'));
  // @ts-expect-error: what a load order says does not change
  order.loads.push();
  // @ts-expect-error: a name, or a rule
  await findLoadOrder(repository, manifest, 1);
}
