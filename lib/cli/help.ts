/**
 * Help texts, made from the command table.
 */
import { allOptions, type Command, type OptionSpec } from './command.js';
import { COMMANDS } from './commands.js';

const EXIT_STATUS = [
  'Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted (SIGINT),',
  '143 terminated (SIGTERM), 141 standard output was closed early (as SIGPIPE).',
] as const;

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

/** The commands whose names begin with `group`; '' is all of them. */
export function overview(group: string): string {
  const rows = [...COMMANDS]
    .filter(([name]) => group === '' || name.startsWith(`${group} `))
    .map(([name, entry]) => [name, entry.summary] as const);
  const lines = [
    `Usage: seekable-oci ${group === '' ? '' : `${group} `}COMMAND [options]`,
    '',
    'Reads any file out of an unmodified container image without pulling it.',
    '',
    'Commands:',
    ...columns(rows),
    '',
    'IMAGE is registry/repo:tag, …@sha256:DIGEST, oci:DIR[:TAG], oci-archive:FILE[:TAG] or, of docker save,',
    'docker-archive:FILE[:NAME:TAG].',
    'seekable-oci help COMMAND explains one; --version prints the version. Options may stand anywhere.',
    ...EXIT_STATUS,
  ];
  return `${lines.join('\n')}\n`;
}

function flags([name, spec]: readonly [string, OptionSpec]): readonly [string, string] {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  const value = spec.value === undefined ? '' : ` ${spec.value}`;
  return [`${short}--${name}${value}`, spec.help];
}

export function commandHelp(name: string, command: Command): string {
  const options = allOptions(command);
  const usage = ['seekable-oci', name, ...command.operands, '[options]'].join(' ');
  const lines = [
    `Usage: ${usage}`,
    '',
    command.summary,
    '',
    'Options:',
    ...columns(Object.entries(options).map(flags)),
  ];
  if (command.notes !== undefined) lines.push('', ...command.notes);
  return `${lines.join('\n')}\n\n${EXIT_STATUS.join('\n')}\n`;
}
