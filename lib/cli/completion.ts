/** `seekable-oci completion`: what a shell needs to complete command lines, made from the command table. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shells write their variables so.
import { allOptions, type Command, type Invocation, type OptionSpec, UsageError } from './command.js';
import { COMMANDS } from './commands.js';

interface Completed {
  /** One word or two. */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly (readonly [name: string, spec: OptionSpec])[];
}

async function allCommands(): Promise<Completed[]> {
  return await Promise.all(
    [...COMMANDS].map(async ([name, { summary, load }]) => {
      const options = Object.entries(allOptions(await load()));
      return { name, summary, options };
    }),
  );
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}

function firstWords(commands: readonly Completed[]): string[] {
  return unique([...commands.map(({ name }) => name.split(' ')[0] ?? ''), 'help', 'version']);
}

/** First words that have second ones, with those. */
function groups(commands: readonly Completed[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ');
    if (second !== undefined) found.set(first, [...(found.get(first) ?? []), second]);
  }
  return found;
}

/** Branches of a `case` over the first two words: shell code that bash and zsh read alike. */
function optionBranches(commands: readonly Completed[]): string[] {
  return commands.map(({ name, options }) => {
    const pattern = name.includes(' ') ? `'${name}'` : `'${name} '*`;
    const flags = options.flatMap(([long, { short }]) => [
      `--${long}`,
      ...(short === undefined ? [] : [`-${short}`]),
    ]);
    return `    ${pattern}) options=(${flags.join(' ')}) ;;`;
  });
}

function wordBranches(commands: readonly Completed[]): string[] {
  const seconds = [...groups(commands)].map(
    ([first, words]) => `    '${first}') next=(${words.join(' ')}) ;;`,
  );
  return [`    '') next=(${firstWords(commands).join(' ')}) ;;`, ...seconds];
}

function bash(commands: readonly Completed[]): string[] {
  return [
    '# eval "$(seekable-oci completion bash)"',
    '_seekable_oci() {',
    '  local word current=${COMP_WORDS[COMP_CWORD]}',
    '  local -a found=() options=() next=()',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -* ]] || found+=("$word"); done',
    '  case "${found[0]-} ${found[1]-}" in',
    ...optionBranches(commands),
    '  esac',
    '  case "${found[*]-}" in',
    ...wordBranches(commands),
    '  esac',
    '  COMPREPLY=()',
    '  [[ $current == -* ]] && next=("${options[@]}")',
    '  ((${#next[@]} == 0)) || COMPREPLY=($(compgen -W "${next[*]}" -- "$current"))',
    '}',
    'complete -o default -F _seekable_oci seekable-oci',
  ];
}

function zsh(commands: readonly Completed[]): string[] {
  return [
    '#compdef seekable-oci',
    '# In a directory of $fpath as _seekable-oci, or: source <(seekable-oci completion zsh)',
    '_seekable_oci() {',
    '  local word current=$words[CURRENT]',
    '  local -a found options next',
    '  for word in ${words[2,CURRENT-1]}; do [[ $word == -* ]] || found+=("$word"); done',
    '  case "$found[1] $found[2]" in',
    ...optionBranches(commands),
    '  esac',
    '  case "$found" in',
    ...wordBranches(commands),
    '  esac',
    '  [[ $current == -* ]] && next=($options)',
    '  if (( $#next )); then compadd -- $next; else _files; fi',
    '}',
    'if [[ $funcstack[1] == _seekable-oci ]]; then _seekable_oci "$@"; else compdef _seekable_oci seekable-oci; fi',
  ];
}

function fish(commands: readonly Completed[]): string[] {
  const grouped = groups(commands);
  const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const line = (condition: string, rest: string): string =>
    `complete -c seekable-oci -n ${quoted(condition)} ${rest}`;
  const seen = (words: string): string => `__fish_seen_subcommand_from ${words}`;
  const firsts = firstWords(commands).map(word => {
    const summary = commands.find(({ name }) => name === word)?.summary ?? `${word} …`;
    return line('__fish_use_subcommand', `-f -a ${word} -d ${quoted(summary)}`);
  });
  const seconds = [...grouped].map(([first, words]) =>
    line(`${seen(first)}; and not ${seen(words.join(' '))}`, `-f -a ${quoted(words.join(' '))}`),
  );
  const options = commands.flatMap(({ name, options: table }) => {
    const [first = '', second] = name.split(' ');
    const condition =
      second === undefined
        ? `${seen(first)}; and not ${seen([...grouped.keys()].join(' '))}`
        : `${seen(first)}; and ${seen(second)}`;
    return table.map(([long, { short, type, help }]) => {
      const flags = `-l ${long}${short === undefined ? '' : ` -s ${short}`}${type === 'string' ? ' -r' : ''}`;
      return line(condition, `${flags} -d ${quoted(help)}`);
    });
  });
  return ['# seekable-oci completion fish | source', ...firsts, ...seconds, ...options];
}

const SHELLS: Readonly<Record<string, (commands: readonly Completed[]) => string[]>> = { bash, zsh, fish };

async function run(invocation: Invocation): Promise<void> {
  const [shell = ''] = invocation.operands;
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script === undefined) {
    throw new UsageError(`completion: expected ${Object.keys(SHELLS).join(', ')}, received '${shell}'`);
  }
  await invocation.output.write(`${script(await allCommands()).join('\n')}\n`);
}

export const completion: Command = {
  summary: 'Prints the script with which a shell completes command lines of seekable-oci.',
  operands: ['bash|zsh|fish'],
  options: {},
  notes: [
    'bash: eval "$(seekable-oci completion bash)" in ~/.bashrc; zsh: source <(seekable-oci completion zsh)',
    'behind compinit in ~/.zshrc; fish: seekable-oci completion fish > ~/.config/fish/completions/seekable-oci.fish',
  ],
  run,
};
