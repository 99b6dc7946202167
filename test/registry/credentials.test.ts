import { chmod, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import t from 'tap';

import { lookUpCredentials, parseAuthFile } from '../../lib/registry/auth-file.js';
import { askCredentialHelper } from '../../lib/registry/credential-helper.js';
import type { Credentials } from '../../lib/registry/credentials.js';
import { authFilePaths, keychain } from '../../lib/registry/keychain.js';
import { failure } from './fixture.js';

const encode = (username: string, password: string): string =>
  Buffer.from(`${username}:${password}`).toString('base64');

/** Puts programs `docker-credential-NAME` with these shell scripts on the PATH. */
async function installHelpers(directory: string, scripts: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, script] of Object.entries(scripts)) {
    const path = join(directory, `docker-credential-${name}`);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }
}

t.test('stored entries', async t => {
  const file = parseAuthFile(
    JSON.stringify({
      auths: {
        'https://index.docker.io/v1/': { auth: encode('hub', 'secret:with:colons') },
        'registry.example:5000': { auth: encode('plain', 'a') },
        'http://old.example/v2/': { username: 'old', password: 'b' },
        'quay.example': { auth: encode('wide', 'c') },
        'quay.example/team': { auth: encode('team', 'd') },
        'quay.example/team/app': { auth: encode('app', 'e') },
        'token.example': { auth: encode('00000000-0000', ''), identitytoken: 'refresh' },
        'ready.example': { registrytoken: 'access' },
        'empty.example': {},
        'broken.example': { auth: '%%%' },
        'odd.example': 'text',
      },
    }),
    'config.json',
  );
  const find = (registry: string, repository = 'a/b'): Promise<Credentials | undefined> =>
    lookUpCredentials(file, registry, repository);
  t.match(await find('docker.io', 'library/debian'), { username: 'hub', password: 'secret:with:colons' });
  t.match(await find('registry-1.docker.io'), { username: 'hub' });
  t.match(await find('registry.example:5000'), { username: 'plain' });
  t.equal(await find('registry.example'), undefined, 'a port is part of the name');
  t.match(await find('old.example'), { username: 'old' });
  t.match(await find('quay.example', 'x/y'), { username: 'wide' });
  t.match(await find('quay.example', 'team/other'), { username: 'team' });
  t.match(await find('quay.example', 'team/app'), { username: 'app' });
  t.match(await find('quay.example', 'teams/app'), { username: 'wide' }, 'whole path components only');
  t.match(await find('token.example'), { identityToken: 'refresh' });
  t.match(await find('ready.example'), { registryToken: 'access' });
  for (const registry of ['empty.example', 'broken.example', 'odd.example', '__proto__', 'constructor']) {
    t.equal(await find(registry), undefined, registry);
  }
  t.throws(() => parseAuthFile('{"auths": secret', 'x'), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: 'x: not JSON',
  });
  for (const odd of ['null', '[]', '{"auths":[]}', '{"auths":null,"credHelpers":4,"credsStore":{}}']) {
    t.equal(parseAuthFile(odd, 'x').auths.size, 0, odd);
  }
});

t.test('helpers', async t => {
  const directory = t.testdir({});
  await installHelpers(directory, {
    good: 'read server; printf \'{"ServerURL":"%s","Username":"u","Secret":"for %s"}\' "$server" "$server"',
    token: 'echo \'{"Username":"<token>","Secret":"refresh"}\'',
    none: 'echo "credentials not found in native keychain"; exit 1',
    fails: 'echo "secret things"; exit 3',
    nonsense: 'echo secret things',
    hangs: 'exec sleep 60',
    endless: 'exec cat /dev/zero',
    deaf: 'exec 0<&-; echo \'{"Username":"u","Secret":"s"}\'',
  });
  const path = process.env['PATH'];
  process.env['PATH'] = `${directory}${delimiter}${path}`;
  t.teardown(() => {
    process.env['PATH'] = path;
  });

  t.same(await askCredentialHelper('good', 'r.example'), { username: 'u', password: 'for r.example' });
  t.same(await askCredentialHelper('token', 'r.example'), { identityToken: 'refresh' });
  t.equal(await askCredentialHelper('none', 'r.example'), undefined);
  t.match(await askCredentialHelper('deaf', 'r'.repeat(200_000)), { username: 'u' });
  t.match(await failure(askCredentialHelper('fails', 'r')), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: /exit code 3$/,
  });
  t.match(await failure(askCredentialHelper('nonsense', 'r')), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: /not JSON$/,
  });
  t.match(await failure(askCredentialHelper('absent', 'r')), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: /could not be run/,
  });
  t.match(await failure(askCredentialHelper('endless', 'r')), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: /more than/,
  });
  t.match(
    await failure(askCredentialHelper('../good', 'r')),
    { code: 'ERR_SOCI_CREDENTIALS' },
    'a name, no path',
  );
  t.match(await failure(askCredentialHelper('hangs', 'r', { timeout: 100 })), {
    code: 'ERR_SOCI_CREDENTIALS',
    message: /within 100 ms/,
  });
  const reason = new Error('stop');
  const controller = new AbortController();
  const rejected = failure(askCredentialHelper('hangs', 'r', { signal: controller.signal }));
  controller.abort(reason);
  t.equal(await rejected, reason);

  t.test('a registry has its own, the store serves the rest, entries stand in', async t => {
    const file = parseAuthFile(
      JSON.stringify({
        auths: { 'r.example': { auth: encode('stored', 's') } },
        credHelpers: { 'r.example': 'good', 'broken.example': 'fails', 'index.docker.io': 'good' },
        credsStore: 'token',
      }),
      'config.json',
    );
    t.match(await lookUpCredentials(file, 'r.example', 'a'), { username: 'u' });
    t.match(await lookUpCredentials(file, 'other.example', 'a'), { identityToken: 'refresh' });
    t.match(await lookUpCredentials(file, 'docker.io', 'a'), { password: 'for https://index.docker.io/v1/' });
    t.match(await failure(lookUpCredentials(file, 'broken.example', 'a')), { code: 'ERR_SOCI_CREDENTIALS' });
    const fallback = parseAuthFile(
      JSON.stringify({ auths: { 'r.example': { auth: encode('stored', 's') } }, credsStore: 'fails' }),
      'config.json',
    );
    t.match(await lookUpCredentials(fallback, 'r.example', 'a'), { username: 'stored' });
  });
});

t.test('where files are looked for', async t => {
  const auths = (username: string, registry = 'r.example'): string =>
    JSON.stringify({ auths: { [registry]: { auth: encode(username, 'x') } } });
  const home = t.testdir({
    '.docker': { 'config.json': auths('home') },
    other: { 'config.json': auths('docker-config') },
    'named.json': auths('named'),
    run: { containers: { 'auth.json': auths('podman') } },
    'only.json': auths('only', 'only.example'),
    bad: { 'config.json': '{' },
  });
  const at = (...parts: string[]): string => join(home, ...parts);
  const find = async (env: Record<string, string>, registry = 'r.example'): Promise<string | undefined> => {
    const provider = keychain({ home, env });
    return (await provider({ registry, repository: 'a', refused: false, signal: undefined }))?.username;
  };
  t.equal(await find({}), 'home');
  t.equal(await find({ DOCKER_CONFIG: at('other') }), 'docker-config');
  t.equal(await find({ REGISTRY_AUTH_FILE: at('named.json') }), 'home', "docker's file comes first");
  t.equal(await find({ DOCKER_CONFIG: at('none'), REGISTRY_AUTH_FILE: at('named.json') }), 'named');
  t.equal(await find({ DOCKER_CONFIG: at('none'), XDG_RUNTIME_DIR: at('run') }), 'podman');
  t.equal(
    await find({ REGISTRY_AUTH_FILE: at('only.json') }, 'only.example'),
    'only',
    'the next file is asked for what the first lacks',
  );
  t.equal(
    await find({ DOCKER_CONFIG: at('bad'), XDG_RUNTIME_DIR: at('run') }),
    'podman',
    'a broken file hides nothing',
  );
  t.match(await failure(find({ DOCKER_CONFIG: at('bad') })), { code: 'ERR_SOCI_CREDENTIALS' });
  t.equal(await find({}, 'unknown.example'), undefined);
  t.equal(authFilePaths({ home, env: {} })[0], at('.docker', 'config.json'));

  t.test('answers are remembered until they are refused', async t => {
    const provider = keychain({ home, env: { DOCKER_CONFIG: at('other') } });
    const ask = async (refused: boolean): Promise<string | undefined> =>
      (await provider({ registry: 'r.example', repository: 'a', refused, signal: undefined }))?.username;
    t.equal(await ask(false), 'docker-config');
    await writeFile(at('other', 'config.json'), auths('changed'));
    t.equal(await ask(false), 'docker-config');
    t.equal(await ask(true), 'changed');
  });
});
