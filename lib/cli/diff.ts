/** `seekable-oci diff`: what is in one image and not, or not so, in another. */
import { compareImages, type ImageDifference } from '../image/compare-images.js';
import { type Command, ExitStatus, type Invocation } from './command.js';
import { bytesAsJson } from './file-entry.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { printableName } from './printable.js';

const PAGE = 64 * 1024;
/** With `--exit-code`, as GNU diff and `git diff --exit-code` have it: errors must not look like a difference. */
const DIFFERENT = 1;
const TROUBLE = 2;

/** As `docker diff` has them. */
const LETTER = { added: 'A', removed: 'D', changed: 'C' } as const;

function line({ path, differences }: ImageDifference, letter: string): string {
  return `${letter} ${printableName(path)}${differences.length === 0 ? '' : `  ${differences.join(' ')}`}\n`;
}

/** Prints what differs, and says how many names do. */
async function compare(invocation: Invocation): Promise<number> {
  const [from = '', to = ''] = invocation.operands;
  // "Nothing differs" must not mean "as far as was looked".
  const content = [invocation.options['content'], invocation.options['exit-code']].includes(true);
  let different = 0;
  await ImageSession.run(invocation, [from, to], async session => {
    const { output, json, signal, reporter } = session;
    await session.read(from, before =>
      session.read(to, async after => {
        let page = json ? '[' : '';
        let separator = '\n';
        let uncompared = 0;
        for await (const found of compareImages(before, after, { content, signal })) {
          const { path, change, differences } = found;
          if (change === 'uncompared') uncompared += 1;
          else different += 1;
          if (json) {
            page += `${separator}  ${JSON.stringify({ ...bytesAsJson('path', path), change, differences })}`;
            separator = ',\n';
          } else if (change !== 'uncompared') page += line(found, LETTER[change]);
          if (page.length > PAGE) {
            await output.write(page);
            page = '';
          }
        }
        await output.write(json ? `${page}\n]\n` : page);
        if (uncompared > 0) {
          reporter.line(
            `${uncompared} files of equal size are in other layers, so their content may differ: --content reads them`,
          );
        }
      }),
    );
  });
  return different;
}

async function run(invocation: Invocation): Promise<void> {
  if (invocation.options['exit-code'] !== true) {
    await compare(invocation);
    return;
  }
  const different = await compare(invocation).catch((cause: unknown) => {
    throw new ExitStatus(TROUBLE, { cause });
  });
  if (different > 0) throw new ExitStatus(DIFFERENT);
}

export const diff: Command = {
  summary: 'Tells what differs between two images: names, types, modes, owners, sizes, targets.',
  operands: ['IMAGE', 'IMAGE'],
  options: {
    'exit-code': { type: 'boolean', help: 'status 1 if something differs, 2 on failure; with --content' },
    content: { type: 'boolean', help: 'compare the bytes of files of equal size in other layers too' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'A is only in the second image, D only in the first, C is in both, with what differs. Times are not',
    'compared. Without --content no file is fetched: what is of the same layer is equal.',
  ],
  run,
};
