/**
 * The options of every command that takes an IMAGE: which platform and index are
 * meant, how its registry is reached, where things are kept, what is said.
 */
import type { OptionTable } from './command.js';
import { KEPT_OPTIONS } from './kept-places.js';

/** Options of every command that takes an IMAGE. */
export const IMAGE_OPTIONS: OptionTable = {
  platform: {
    type: 'string',
    multiple: true,
    value: 'P',
    help: "os/arch[/variant]; default the host's, else the only one",
  },
  index: {
    type: 'string',
    value: 'DIGEST',
    help: "use this SOCI index; 'none' uses none (default: look for one)",
  },
  user: { type: 'string', value: 'NAME', help: 'log in as NAME; needs --password-stdin' },
  'password-stdin': { type: 'boolean', help: 'read the password from standard input' },
  'plain-http': { type: 'boolean', help: 'speak HTTP without TLS to the registries named' },
  tls: { type: 'boolean', help: 'speak TLS to the registries named, on this machine too' },
  ca: { type: 'string', value: 'FILE', help: 'trust the certificates in FILE (PEM) too' },
  'hosts-dir': {
    type: 'string',
    multiple: true,
    value: 'DIR',
    help: "containerd's certs.d: mirrors, certificates (not with the three above)",
  },
  ...KEPT_OPTIONS,
  semantics: {
    type: 'string',
    value: 'S',
    help: "how layers are put together: 'overlay', as containers see them (default), or 'spec'",
  },
  timeout: {
    type: 'string',
    value: 'SECONDS',
    help: 'give up a request after so long without a byte (default 30)',
  },
  retries: {
    type: 'string',
    value: 'N',
    help: 'further attempts after a failure that may pass (default 5, within a minute of silence)',
  },
  hedge: {
    type: 'string',
    value: 'PERCENTILE',
    help: 'ask again for what takes longer than so many percent of replies (50 to 99.9; default: never)',
  },
  json: { type: 'boolean', help: 'print the result as JSON' },
  quiet: { type: 'boolean', help: 'say nothing on standard error but errors' },
  debug: { type: 'boolean', help: 'tell every request and what it cost on standard error' },
};

/** The options of commands that deal with all platforms unless they are told which. */
export const ALL_PLATFORMS_OPTIONS: OptionTable = {
  ...IMAGE_OPTIONS,
  platform: {
    type: 'string',
    multiple: true,
    value: 'P',
    help: 'os/arch[/variant], may be repeated (default: all)',
  },
  'all-platforms': { type: 'boolean', help: 'all platforms, which is the default' },
};
