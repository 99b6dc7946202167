/**
 * The addon survives whatever happens around its work: processes and workers
 * that end, objects that are dropped, memory that is taken away. Every stage
 * runs in a process of its own, which must end by itself with code 0.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const STAGES = fileURLToPath(new URL('./stages.js', import.meta.url));

// A busy machine and a sanitizer multiply what are 100 ms per stage.
t.setTimeout(300_000);

/** Sanitizers keep freed memory back for a while, so nothing can be said about how much is in use. */
const sanitized = /asan|tsan/.test(process.env['LD_PRELOAD'] ?? '')
  ? { skip: 'memory is not measurable' }
  : {};

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

async function run(stage: string, env: NodeJS.ProcessEnv = {}): Promise<Ending> {
  const child = spawn(process.execPath, ['--expose-gc', STAGES, stage], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
}

function survives(stage: string, options: { skip?: string } = {}): void {
  t.test(stage, options, async t => {
    const ending = await run(stage, { TMPDIR: t.testdir() });
    t.strictSame(ending, { code: 0, signal: null, stderr: '' });
  });
}

t.test('a stage that fails is noticed', async t => {
  t.match(await run('no such stage'), { code: 1, stderr: /no stage/ });
});

for (const UV_THREADPOOL_SIZE of ['1', '2']) {
  t.test(`${UV_THREADPOOL_SIZE} threads in the pool`, async t => {
    const ending = await run(`pool-of-${UV_THREADPOOL_SIZE}`, { UV_THREADPOOL_SIZE, TMPDIR: t.testdir() });
    t.strictSame(ending, { code: 0, signal: null, stderr: '' });
  });
}

survives('created');
survives('created-collected');
survives('never-finished');
survives('not-awaited');
survives('exit-at-once');
survives('exit-mid-work');
survives('started-while-exiting');
survives('uncaught-mid-work');
survives('worker-terminated-mid-work');
survives('worker-terminated-with-async-hooks');
survives('worker-terminated-in-a-loop-of-work');
survives('worker-terminated-while-it-reads-a-file');
survives('worker-terminated-while-it-writes-a-tree');
survives('worker-exits-mid-work');
survives('worker-throws-mid-work');
survives('parent-exits-while-workers-work');
survives('sixteen-workers');
survives('abort-before');
survives('abort-during');
survives('abort-after');
survives('input-freed-during-work');
survives('output-freed-during-work');
survives('output-freed-after-some-of-it-was-copied');
survives('input-transferred-to-a-worker-that-exits');
survives('output-resized-during-work');
survives('collected-during-work');
survives('loaded-twice');
survives('dropped-indexers-are-collected', sanitized);
survives('trees-dropped-are-collected', sanitized);
survives('no-leak', sanitized);
