/** `seekable-oci load-order push`: publishes a load order as a referrer of its image. */
import { pushLoadOrder, resolveImages } from '../index.js';
import { otherImage } from '../soci/load-order-artifact.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { reportIndexEvents } from './index-events.js';
import { readDocument } from './load-order-document.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = ''] = invocation.operands;
  const replace = invocation.options['replace'] === true;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, signal, json, reporter } = session;
    const order = await readDocument(path, signal);
    const { repository, reference } = session.open(operand);
    const { images } = await resolveImages(repository, reference, { platforms: session.platforms, signal });
    // It says itself which platform it is for.
    const image = images.find(({ descriptor }) => descriptor.digest === order.image);
    if (image === undefined)
      throw otherImage(path, order.image, images.map(each => each.descriptor.digest).join(' or '));
    const onEvent = reportIndexEvents(reporter);
    const { descriptor, outcome, others } = await pushLoadOrder(repository, image, order, {
      replace,
      signal,
      onEvent,
    });
    const { digest } = descriptor;
    if (!replace && others.length > 0) {
      const rest = counted(others.length, 'other load order');
      reporter.line(`the image has ${rest} of the workload ${order.workload}; --replace deletes such`);
    }
    const left = others.map(each => each.digest);
    if (json)
      await output.writeJson({
        digest,
        image: order.image,
        workload: order.workload,
        outcome,
        others: left,
        replaced: replace,
      });
    else await output.write(`${digest}  ${order.workload}  of ${order.image}  ${outcome}\n`);
  });
}

export const loadOrderPush: Command = {
  summary: 'Publishes a load order beside the image that it is of; the image stays as it is.',
  operands: ['IMAGE', 'DOCUMENT'],
  options: {
    replace: { type: 'boolean', help: "delete the image's other load orders of this workload" },
    ...IMAGE_OPTIONS,
  },
  notes: ['The document says which platform of IMAGE it is for. It is found by the name of its workload.'],
  run,
};
