/** The command as a process: its pipes, its environment and its exit status are those of the command line's run. */
import t, { type Test } from 'tap';
import { pushIndexedImage } from '../image/sample-image.js';
import { command, type Environment, type Outcome, spawned } from './run-command.js';
import { repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const PASSWORD = 'correct horse battery';
const registry = await startRegistry(t, { auth: { type: 'basic', username: 'me', password: PASSWORD } });
const credentials = () => ({ username: 'me', password: PASSWORD });
const layers = await sampleLayers();
await pushIndexedImage(repositoryOf(t, registry, { credentials }), layers, { tag: 'latest' });
const image = `${registry.host}/demo/app`;
const login = ['--user', 'me', '--password-stdin'];
const [layer] = layers;

/** Both ways to run a command give one outcome; the process's is returned. */
async function alike(
  t: Test,
  args: readonly string[],
  input?: string | Uint8Array,
  env?: Environment,
): Promise<Outcome> {
  const bytes = input === undefined ? undefined : Buffer.from(input);
  const outcome = await spawned(args, bytes, env);
  t.same(outcome, await command(args, bytes, env), `seekable-oci ${args.slice(0, 2).join(' ')}`);
  return outcome;
}

t.test('a command of each group, with a real standard input', async t => {
  t.match(await alike(t, ['--version']), { status: 0, signal: null, stderr: '' });
  t.match((await alike(t, ['completion', 'bash'])).stdout.toString(), 'complete');
  t.equal((await alike(t, ['cat', image, '/etc/motd', ...login], PASSWORD)).stdout.toString(), 'welcome\n');
  t.match((await alike(t, ['index', 'ls', image, ...login], `${PASSWORD}\n`)).stdout.toString(), 'used');
  t.match(await alike(t, ['cache', 'prune']), { status: 0, stderr: '' });
  const ztoc = (await alike(t, ['ztoc', 'build', '-', '-o', '-'], layer!.bytes)).stdout;
  t.ok(ztoc.length > 100);
});

t.test('failures, for people and for programs', async t => {
  t.match(await alike(t, ['ls']), { status: 2, stderr: /\[ERR_SOCI_INVALID_ARGUMENT\]\n$/ });
  t.equal((await alike(t, ['ls', image])).status, 1);
  const { status, stderr } = await alike(t, ['ls', image, '--json', ...login], 'wrong');
  t.equal(status, 1);
  t.match(JSON.parse(stderr), { error: { code: /^ERR_SOCI_REGISTRY_/ } });
});

t.test('the environment that the process has', async t => {
  const homeless = await alike(t, ['cache', 'ls'], undefined, { HOME: '', XDG_CACHE_HOME: '' });
  t.match(homeless, { status: 2, stderr: /HOME names no directory/ });
});
