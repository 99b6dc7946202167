/** `seekable-oci explain`: what reading a file would cost, before anything of it is fetched. */
import type { Image, ImageFilePlan, WholeLayersPlan } from '../index.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { printable } from './printable.js';

function share(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
}

function report(image: Image, plan: ImageFilePlan): string {
  const { layers } = image;
  const layer = layers[plan.layer];
  const layerSize = layer?.descriptor.size ?? 0;
  const imageSize = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const spans = plan.endSpan - plan.firstSpan;
  const which = spans === 0 ? '' : `: ${plan.firstSpan} to ${plan.endSpan - 1}`;
  const found = image.index?.found;
  const index =
    found === undefined ? 'none' : `${found.descriptor.digest} (${found.index.version}, by ${found.via})`;
  const origin = layer?.opened ?? 'index';
  return [
    `path   ${printable(plan.path)}, ${byteText(plan.size)}`,
    `layer  ${plan.layer} of ${layers.length}, ${plan.layerDigest}, ${byteText(layerSize)}`,
    `spans  ${spans}${which}`,
    `fetch  ${byteText(plan.bytes)} in ${counted(plan.requests, 'request')}: ` +
      `${share(plan.bytes, layerSize)} of the layer, ${share(plan.bytes, imageSize)} of the image's layers`,
    `index  ${index}`,
    `ztoc   ${ORIGIN_TEXT[origin]}`,
  ]
    .map(line => `${line}\n`)
    .join('');
}

function reportWhole(image: Image, { wholeLayers, bytes }: WholeLayersPlan): string {
  const lines = wholeLayers.map(({ layer, layerDigest, bytes }) => {
    const why = image.layers.find(({ descriptor }) => descriptor.digest === layerDigest)?.reason;
    return `layer  ${layer}, ${layerDigest}, would be read once: ${byteText(bytes)}${why === undefined ? '' : ` (${why})`}`;
  });
  const advice =
    "what the file costs is known after that; 'index create' on the image avoids it for everybody";
  return `${[...lines, `fetch  ${byteText(bytes)} before any file can be found: ${advice}`].join('\n')}\n`;
}

const ORIGIN_TEXT = {
  index: 'of the index',
  verified: 'of an index, verified against the layer',
  cache: 'built here earlier',
  built: 'built here now, from the whole layer',
  unpacked: 'none can be: the layer has been unpacked here',
  'not-a-layer': 'none: it is no file-system layer',
} as const;

function indexAsJson({ index }: Image) {
  const found = index?.found;
  return found && { digest: found.descriptor.digest, version: found.index.version, via: found.via };
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal } = session;
    await session.read(operand, async image => {
      const plan = await image.explain(path, { signal });
      if ('wholeLayers' in plan) {
        if (json) await output.writeJson({ ...plan, index: indexAsJson(image) });
        else await output.write(reportWhole(image, plan));
        return;
      }
      if (!json) {
        await output.write(report(image, plan));
        return;
      }
      const { layers } = image;
      await output.writeJson({
        ...plan,
        layerSize: layers[plan.layer]?.descriptor.size,
        imageSize: layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
        ztoc: layers[plan.layer]?.opened,
        index: indexAsJson(image),
      });
    });
  });
}

export const explain: Command = {
  summary: 'Tells what reading a file would cost: layer, spans, requests, bytes. Fetches nothing of it.',
  operands: ['IMAGE', 'PATH'],
  options: IMAGE_OPTIONS,
  notes: ['Manifests, the index and ztocs are fetched to find out, and are not part of the cost.'],
  run,
};
