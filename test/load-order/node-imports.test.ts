/** Which modules a JavaScript source names. */
import t from 'tap';
import { nodeImports } from '../../lib/load-order/node-imports.js';
import fc from '../property.js';

const shown = (source: string): string[] =>
  nodeImports(source).map(({ specifier, condition }) => `${condition} ${specifier}`);

t.test('require, import and export, and what only looks like them', async t => {
  const source = `#!/usr/bin/env node
'use strict'
var a = require('a'), b = require( "./b" )
module.exports = { c: require('c').d }
import e from 'e';
import * as f from "f"
import g, {
  h as i, // why
  j,
} from './g.js';
import 'k';
export { l } from 'l';
export * from './m.js';
export const n = 1;
import(o); const p = await import('p');
// require('no')
 * @example require('no')
x.require('no'); $require('no'); require(variable); require('a' + 'b')
function later() { return require('q') }
`;
  t.strictSame(shown(source), [
    ...[
      'require a',
      'require ./b',
      'require c',
      'import e',
      'import f',
      'import ./g.js',
      'import k',
      'import l',
    ],
    ...['import ./m.js', 'require q'],
  ]);
});

t.test('any text names some or none, in time that grows with its length', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), text => Array.isArray(shown(text))));
  const pieces = [
    'import ',
    'import a ',
    'import\n',
    'import a from ',
    "require('",
    'require(',
    ' ',
    '\n',
    'export * ',
    ' from ',
  ];
  for (const piece of pieces) t.ok(shown(piece.repeat(100_000)).length <= 100_000, piece);
});
