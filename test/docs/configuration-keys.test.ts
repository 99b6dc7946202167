/** docs/configuration.md has a row for every key, made of the table that files are read by. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'smol-toml';
import t from 'tap';
import { parseConfiguration } from '../../lib/configuration/configuration.js';
import { Key, type KeyTable, NamedTables, TableList } from '../../lib/configuration/key.js';
import { KEYS } from '../../lib/configuration/key-table.js';
import { ROOT } from '../lint/library.js';
import { blocksOf, PAGES, pageText } from './pages.js';

const PAGE = 'docs/configuration.md';
const REGION = /(?<=<!-- keys -->\n)[\s\S]*(?=<!-- end of keys -->)/;

/** As the file writes it. */
function defaultText({ form, spelling }: Key<unknown>): string {
  if (form.origin !== undefined) return `that of \`[${form.origin[0]}]\``;
  if (form.required) return 'required';
  if (form.initial === undefined) return spelling === undefined ? '' : 'absent';
  return `\`${stringify({ x: form.write(form.initial) as string }).replace(/^x = |\n$/g, '')}\``;
}

function rowsOf(table: KeyTable): string[] {
  return Object.entries(table).flatMap(([name, entry]) => {
    if (!(entry instanceof Key)) return [];
    const { spelling, use, meaning, form } = entry;
    const names = [spelling, name].filter(each => each !== undefined).map(each => `\`${each}\``);
    const type = form.type.replace(/"[^"]+"/g, '`$&`');
    return [
      `| ${names.join(', ')} | ${type} | ${defaultText(entry)} | ${use === 'nothing' ? '–' : use} | ${meaning} |`,
    ];
  });
}

function sectionsOf(table: KeyTable, title: string, header: string): string[] {
  const rows = rowsOf(table);
  const head = `### ${title}\n\n| key | type | default | for | meaning |\n|---|---|---|---|---|\n`;
  const own = rows.length === 0 ? [] : [`${head}${rows.join('\n')}\n`];
  const below = Object.entries(table).flatMap(([name, entry]) => {
    const here = header === '' ? name : `${header}.${name}`;
    if (entry instanceof Key) return [];
    if (entry instanceof NamedTables)
      return sectionsOf(entry.rows, `[${here}.${entry.name}]`, `${here}.${entry.name}`);
    if (entry instanceof TableList) return sectionsOf(entry.rows, `[[${here}]]`, here);
    return sectionsOf(entry, `[${here}]`, here);
  });
  return [...own, ...below];
}

t.test('the tables of the page are the table of keys', async t => {
  const expected = `\n${sectionsOf(KEYS, 'Before all sections', '').join('\n')}\n`;
  const text = pageText(PAGE);
  // UPDATE_DOCS=1 writes them anew.
  if (process.env['UPDATE_DOCS'] === '1')
    writeFileSync(
      path.join(ROOT, PAGE),
      text.replace(REGION, () => expected),
    );
  t.strictSame(REGION.exec(pageText(PAGE))?.[0].split('\n'), expected.split('\n'));
});

t.test('every configuration that a page shows is read, and all of it means something', async t => {
  const shown = PAGES.flatMap(blocksOf).filter(({ language }) => language === 'toml');
  t.not(shown.length, 0);
  for (const { text, page, line } of shown) {
    t.strictSame((await parseConfiguration(text)).warnings, [], `${page}:${line}`);
  }
});
