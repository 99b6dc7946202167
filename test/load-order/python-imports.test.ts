/** Which imports a Python source makes at once. */
import t from 'tap';
import { type PythonImport, pythonImports } from '../../lib/load-order/python-imports.js';
import fc from '../property.js';

const shown = ({ level, module, names }: PythonImport): string =>
  `${'.'.repeat(level)}${module}${names.length > 0 ? `:${names}` : ''}`;
const imports = (source: string, use: 'imported' | 'main' = 'imported'): string[] =>
  pythonImports(source, use).map(shown);

t.test('statements in all their forms', async t => {
  const source = `#!/usr/bin/env python3
"""A docstring with
import nothing
in it."""
import os, sys as system
import xml.etree.ElementTree as tree; import json
from . import near
from ..up.there import (one,  # comment
    two as too,
    three)
from pkg import *
from a.b \\
    import c
x = 'import no'; y = "from no import no"
importlib = 1
r'''
from long import text
'''
`;
  t.strictSame(imports(source), [
    ...['os', 'sys', 'xml.etree.ElementTree', 'json', '.:near', '..up.there:one,two,three', 'pkg', 'a.b:c'],
  ]);
});

t.test('what runs at once, and what does not', async t => {
  const source = `
try:
    import first
except ImportError:
    import instead
else:
    import after
finally:
    import always
def later():
    import never
    class X:
        import neither
async def much_later():
    import no
class Now:
    import here
    def method(self):
        import not_here
if TYPE_CHECKING:
    import types_only
elif x: import inline
if sys.platform == 'win32':
    from .windows import *
elif sys.platform == "darwin": import mac
else:
    from .unix import *
if __name__ == '__main__':
    import as_main
with x:
\timport tabbed
for x in y:
  while z:
    import looped
import last
`;
  const at = ['first', 'after', 'always', 'here', 'inline', '.unix', 'tabbed', 'looped', 'last'];
  t.strictSame(imports(source), at);
  t.strictSame(imports(source, 'main'), [...at.slice(0, 6), 'as_main', ...at.slice(6)]);
});

t.test('any text has some or none, in time that grows with its length', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), text => Array.isArray(imports(text))));
  const pieces = [
    '"""',
    "'",
    '"',
    '(',
    '\\\n',
    '#',
    'import a\n',
    'if x:\n',
    ' ',
    '\t',
    'from x import (',
    'import a,',
  ];
  for (const piece of pieces) t.ok(imports(piece.repeat(50_000)).length <= 50_000, piece);
});
