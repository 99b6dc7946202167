/** A request listener for node:http that serves the files of an opened image. */
export { imageListener } from './listener.js';
