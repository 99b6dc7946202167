/** The pages of the repository, and the blocks of code in them: what a reader copies has to work. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../lint/library.js';

export interface Block {
  /** As the page says: `ts`, `sh`, `console`; empty for what is no code (figures, layouts). */
  readonly language: string;
  readonly text: string;
  readonly page: string;
  /** Line of its first line of text, from 1. */
  readonly line: number;
}

/** Every page that is about using or building the package, by its path in the repository. */
export const PAGES: readonly string[] = [
  ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
  ...readdirSync(path.join(ROOT, 'docs')).map(name => `docs/${name}`),
  ...readdirSync(path.join(ROOT, 'packages'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => `packages/${name}/README.md`),
];

export function pageText(page: string): string {
  return readFileSync(path.join(ROOT, page), 'utf8');
}

export function blocksOf(page: string): Block[] {
  const text = pageText(page);
  return [...text.matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)].map(
    ({ index, 1: language = '', 2: block = '' }) => ({
      language,
      text: block,
      page,
      line: text.slice(0, index).split('\n').length + 1,
    }),
  );
}
