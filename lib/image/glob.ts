/**
 * File name patterns as shells have them (POSIX.1-2017, XCU 2.13), with braces
 * and '**': matched one path component at a time against the tree, so that a
 * pattern looks into no directory that it cannot match. A component is matched
 * without regular expressions, in time bounded by its length times the name's.
 */
import { invalidText } from '../errors.js';
import { KIND, KIND_NAMES, type NodeKind } from '../tree/node-kind.js';
import { encodeName } from '../tree/path-lookup.js';
import { NONE, ROOT, walkPath } from '../tree/path-walk.js';
import type { TreeTable } from '../tree/tree-table.js';
import { ImageDirent } from './file-stats.js';

/** Braces multiply: '{a,b}{c,d}' are four patterns. */
const MAX_ALTERNATIVES = 1024;

type Token =
  | { readonly type: 'char'; readonly char: string }
  | { readonly type: 'any' }
  | { readonly type: 'star' }
  | {
      readonly type: 'set';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

type Component = '**' | readonly Token[];

/** A name that matched, as the tree's table has it, with its path from the directory where the search began, or from '/' as the pattern. */
export interface GlobMatch {
  /** A byte string. */
  readonly path: string;
  readonly node: number;
}

/** As `withFileTypes` gives it. @param cwd where the search began, as the caller called it */
export function matchedDirent(tree: TreeTable, { path, node }: GlobMatch, cwd: string): ImageDirent {
  const slash = path.lastIndexOf('/');
  const parent = slash < 0 ? cwd : encodeName(path.slice(0, slash), 'utf8');
  return new ImageDirent(
    encodeName(path.slice(slash + 1), 'utf8'),
    parent,
    KIND_NAMES[tree.kind(node)] as NodeKind,
  );
}

/** Names looked at between two matches, at most: then there is undefined, so that the caller can rest. */
const NAMES_PER_MATCH = 256;

/**
 * What below `directory` matches one of the patterns, each once, in bytewise order of its path per pattern. `*`, `?`
 * and sets do not match a dot at a name's start, '**' enters no such directory and follows no links.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT for more than 1024 alternatives in braces
 */
export function* glob(
  tree: TreeTable,
  directory: number,
  patterns: readonly string[],
): Generator<GlobMatch | undefined, void, undefined> {
  const seen = new Set<string>();
  for (const pattern of patterns.flatMap(expandBraces)) {
    const components = pattern
      .split('/')
      .filter(part => part !== '' && part !== '.')
      .map(parseComponent);
    const absolute = pattern.startsWith('/');
    for (const match of matches(tree, absolute ? ROOT : directory, components)) {
      if (match === undefined) {
        yield undefined;
        continue;
      }
      const path = absolute ? `/${match.path}` : match.path;
      if (seen.has(path)) continue;
      seen.add(path);
      yield { path, node: match.node };
    }
  }
}

function* matches(
  tree: TreeTable,
  directory: number,
  components: readonly Component[],
): Generator<GlobMatch | undefined, void, undefined> {
  let looked = 0;
  // Depth first. A state is visited once: without that, '**/x/**/**' would take all ways through each directory.
  const visited = components.filter(each => each === '**').length > 1 ? new Set<string>() : undefined;
  const pending: { node: number; path: string; at: number }[] = [{ node: directory, path: '', at: 0 }];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    const { node, path, at } = state;
    if (visited !== undefined) {
      const key = `${at}:${path}`;
      if (visited.has(key)) continue;
      visited.add(key);
    }
    const component = components[at];
    if (component === undefined) {
      if (path !== '') yield { path, node };
      continue;
    }
    const next: typeof pending = [];
    const last = at === components.length - 1;
    if (component === '**') next.push({ node, path, at: at + 1 });
    if (tree.kind(node) !== KIND.dir) {
      // Only '**' can still match nothing here.
    } else if (component !== '**' && isLiteral(component)) {
      const name = Buffer.from(component.map(token => token.char).join('')).toString('latin1');
      const child = name === '..' ? NONE : tree.child(node, name);
      if (child !== NONE) {
        next.push({ node: last ? child : entered(tree, child), path: join(path, name), at: at + 1 });
      }
    } else {
      const inode = tree.inode(node);
      const first = tree.firstChild(inode);
      for (let child = first; child < first + tree.childCount(inode); child += 1) {
        looked += 1;
        if (looked % NAMES_PER_MATCH === 0) yield undefined;
        const name = encodeName(tree.text(child), 'utf8');
        const childPath = join(path, tree.text(child));
        if (component !== '**') {
          if (!matchName(component, name)) continue;
          next.push({ node: last ? child : entered(tree, child), path: childPath, at: at + 1 });
        } else if (!name.startsWith('.')) {
          // Whatever its kind: the rest of the pattern may be nothing but '**'.
          next.push({ node: child, path: childPath, at });
        }
      }
    }
    pending.push(...next.reverse());
  }
}

/** What a name leads to when the pattern goes on below it: links to directories are followed there. */
function entered(tree: TreeTable, node: number): number {
  if (tree.kind(node) !== KIND.symlink) return node;
  const found = walkPath(tree, tree.path(node), { followLast: true });
  return typeof found === 'number' && tree.kind(found) !== KIND.missing ? found : node;
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function isLiteral(component: readonly Token[]): component is readonly { type: 'char'; char: string }[] {
  return component.every(token => token.type === 'char');
}

/** 'a{b,c{d,e}}' to 'ab', 'acd', 'ace'. Braces without a comma, or without an end, are ordinary. */
function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const pending = [pattern];
  for (let text = pending.pop(); text !== undefined; text = pending.pop()) {
    const group = firstGroup(text);
    if (group === undefined) done.push(text);
    else {
      const { start, end, parts } = group;
      for (const part of parts.reverse()) pending.push(text.slice(0, start) + part + text.slice(end));
    }
    if (done.length + pending.length > MAX_ALTERNATIVES) {
      throw invalidText('a pattern', `at most ${MAX_ALTERNATIVES} alternatives`, pattern);
    }
  }
  return done;
}

function firstGroup(text: string): { start: number; end: number; parts: string[] } | undefined {
  for (let start = text.indexOf('{'); start >= 0; start = text.indexOf('{', start + 1)) {
    if (text[start - 1] === '\\') continue;
    const cuts = [start];
    let depth = 0;
    for (let i = start; i < text.length; i += 1) {
      if (text[i] === '\\') i += 1;
      else if (text[i] === '{') depth += 1;
      else if (text[i] === ',' && depth === 1) cuts.push(i);
      else if (text[i] === '}' && --depth === 0) {
        if (cuts.length === 1) break;
        const parts = cuts.map((cut, k) => text.slice(cut + 1, cuts[k + 1] ?? i));
        return { start, end: i + 1, parts };
      }
    }
  }
  return undefined;
}

function parseComponent(text: string): Component {
  return text === '**' ? '**' : parseTokens(text);
}

function parseTokens(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const chars = [...text];
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] as string;
    if (char === '*') {
      if (tokens.at(-1)?.type !== 'star') tokens.push({ type: 'star' });
    } else if (char === '?') tokens.push({ type: 'any' });
    else if (char === '\\' && i + 1 < chars.length) tokens.push({ type: 'char', char: chars[++i] as string });
    else if (char === '[') {
      const set = parseSet(chars, i);
      if (set === undefined) tokens.push({ type: 'char', char });
      else {
        tokens.push(set.token);
        i = set.end;
      }
    } else tokens.push({ type: 'char', char });
  }
  return tokens;
}

/** '[a-z]', '[!a-z]', '[^a-z]'; a ']' in the first place is a member. Undefined when it has no end. */
function parseSet(chars: readonly string[], start: number): { token: Token; end: number } | undefined {
  let at = start + 1;
  const negated = chars[at] === '!' || chars[at] === '^';
  if (negated) at += 1;
  const ranges: [string, string][] = [];
  for (let first = true; at < chars.length; first = false, at += 1) {
    if (chars[at] === ']' && !first) return { token: { type: 'set', negated, ranges }, end: at };
    if (chars[at] === '\\' && at + 1 < chars.length) at += 1;
    const low = chars[at] as string;
    const isRange = chars[at + 1] === '-' && chars[at + 2] !== undefined && chars[at + 2] !== ']';
    if (isRange) at += 2;
    ranges.push([low, isRange ? (chars[at] as string) : low]);
  }
  return undefined;
}

/** Whether a name matches a pattern, as `find -name` has it: a dot at its start is a character like any other. */
export function nameMatcher(pattern: string): (name: string) => boolean {
  const components = expandBraces(pattern).map(text => parseTokens(text));
  return name => components.some(tokens => matchTokens(tokens, name));
}

function matchName(tokens: readonly Token[], name: string): boolean {
  if (name.startsWith('.') && !(tokens[0]?.type === 'char' && tokens[0].char === '.')) return false;
  return matchTokens(tokens, name);
}

function matchTokens(tokens: readonly Token[], name: string): boolean {
  const chars = [...name];
  let at = 0;
  let token = 0;
  let starToken = -1;
  let starAt = 0;
  while (at < chars.length) {
    const current = tokens[token];
    if (current?.type === 'star') {
      starToken = token++;
      starAt = at;
    } else if (current !== undefined && matchChar(current, chars[at] as string)) {
      token += 1;
      at += 1;
    } else if (starToken >= 0) {
      // The last star takes one more character; those before it need not be tried again.
      token = starToken + 1;
      at = ++starAt;
    } else return false;
  }
  while (tokens[token]?.type === 'star') token += 1;
  return token === tokens.length;
}

function matchChar(token: Token, char: string): boolean {
  switch (token.type) {
    case 'char':
      return token.char === char;
    case 'set': {
      const code = char.codePointAt(0) as number;
      const inside = token.ranges.some(
        ([low, high]) => code >= (low.codePointAt(0) as number) && code <= (high.codePointAt(0) as number),
      );
      return inside !== token.negated;
    }
    default:
      return true;
  }
}
