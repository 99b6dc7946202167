/**
 * The imports that a Python source makes when it is itself imported: statements
 * outside of functions, not those for other systems or for type checkers, not
 * those of `except`, which are for when another one fails. Found by lines and
 * indentation (Python Language Reference, 2.1), without running anything.
 */

/** One module that is asked for, and what may be modules in it. */
export interface PythonImport {
  /** Dots in front: how many packages up, plus one. 0: absolute. */
  readonly level: number;
  /** Dotted; may be empty behind dots. */
  readonly module: string;
  /** Of `from … import`. */
  readonly names: readonly string[];
}

interface LogicalLine {
  readonly indent: number;
  readonly text: string;
}

interface Block {
  readonly indent: number;
  readonly isSkipped: boolean;
}

const TOKEN =
  /\n|\\\r?\n|#[^\n]*|("""|''')(?:[^\\]|\\.)*?\1|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|[([{]|[)\]}]|[^\n\\#"'()[\]{}]+|./gs;
const HEADER = /^(?:async\s+)?(def|class|if|elif|else|try|except|finally|with|for|while)\b/;
const INLINE = /:\s*((?:import|from)\s.*)$/;
const OTHER_SYSTEM =
  /==\s*['"](?:win32|nt|darwin|cygwin|java|emscripten|wasi|vms)['"]|['"](?:nt|win32)['"]\s+in\b|\.startswith\(['"](?:win|darwin|java)/;

/** @param use 'main' for what is run as a program, of which `if __name__ == '__main__'` is part */
export function pythonImports(source: string, use: 'imported' | 'main'): PythonImport[] {
  const imports: PythonImport[] = [];
  const blocks: Block[] = [];
  for (const { indent, text } of logicalLines(source)) {
    while (blocks.length > 0 && indent <= (blocks.at(-1) as Block).indent) blocks.pop();
    const isSkipped = blocks.at(-1)?.isSkipped === true;
    const [, keyword] = HEADER.exec(text) ?? [];
    if (keyword !== undefined) {
      const skipsBody = isSkipped || isPassedOver(keyword, text, use);
      blocks.push({ indent, isSkipped: skipsBody });
      const [, inline] = INLINE.exec(text) ?? [];
      if (!skipsBody && inline !== undefined) imports.push(...statements(inline));
    } else if (!isSkipped) imports.push(...statements(text));
  }
  return imports;
}

function isPassedOver(keyword: string, header: string, use: 'imported' | 'main'): boolean {
  if (keyword === 'def' || keyword === 'except') return true;
  if (keyword !== 'if' && keyword !== 'elif') return false;
  if (/^if\s+__name__\s*==/.test(header)) return use === 'imported';
  return /\bTYPE_CHECKING\b/.test(header) || OTHER_SYSTEM.test(header);
}

/** Lines as the language counts them: joined by brackets and backslashes, without comments and long strings. */
function* logicalLines(source: string): Generator<LogicalLine, void, undefined> {
  let text = '';
  let depth = 0;
  const line = (): LogicalLine => {
    const [space = ''] = /^[ \t\f]*/.exec(text) ?? [];
    return { indent: space.replaceAll('\t', ' '.repeat(8)).length, text: text.trim().replace(/\s+/g, ' ') };
  };
  for (const [token, long] of source.matchAll(TOKEN)) {
    if (token === '\n' && depth === 0) {
      if (text.trim() !== '') yield line();
      text = '';
    } else if (token === '\n' || /^\\\r?\n$/.test(token)) text += ' ';
    else if (long !== undefined) text += '""';
    else if (!token.startsWith('#')) {
      if (/^[([{]$/.test(token)) depth += 1;
      if (/^[)\]}]$/.test(token)) depth = Math.max(0, depth - 1);
      text += token;
    }
  }
  if (text.trim() !== '') yield line();
}

function statements(text: string): PythonImport[] {
  if (!/\b(?:import|from)\b/.test(text)) return [];
  return text.split(';').flatMap(each => statement(each.trim()));
}

function statement(text: string): PythonImport[] {
  const [, dots, module = '', list = ''] = /^from ?(\.*) ?((?:\w[\w.]*)?) ?\bimport\b(.+)$/.exec(text) ?? [];
  if (dots !== undefined)
    return [{ level: dots.length, module, names: firstWords(list.replace(/[()]/g, ' ')) }];
  const [, modules] = /^import (.+)$/.exec(text) ?? [];
  return firstWords(modules ?? '').map(each => ({ level: 0, module: each, names: [] }));
}

/** Of `a.b as c, d` a.b and d. */
function firstWords(list: string): string[] {
  return list.split(',').flatMap(each => /^\s*([\p{L}\p{N}_.]+)/u.exec(each)?.[1] ?? []);
}
