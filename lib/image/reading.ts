/**
 * What it takes to read an image once it is known where it comes from (image-origin.ts), for who
 * loads it while the first answer is on its way: it is most of the library.
 */
export { ReadContext } from '../span/read-context.js';
export { openImageFrom } from './open-image.js';
