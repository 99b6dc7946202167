/**
 * Where the tar goes while its layer is indexed: to somebody who does something
 * with the files, at his own pace.
 */
import type { TarOutput } from '../binding.js';
import type { SociError } from '../errors.js';

export interface TarSink {
  /** Gets the bytes, past script; undefined: it has them otherwise. */
  readonly output: TarOutput | undefined;
  /** Whether more may be decoded. */
  hasRoom(): boolean;
  /** Settles when there is room again, or waiting for it is of no use. */
  whenRoom(): Promise<void>;
  /** Bytes of the tar that have come. */
  read(offset: number, length: number): Uint8Array;
  /**
   * All entries before `position` have been given, and all bytes are there.
   *
   * @param kept what comes from here on will be read
   */
  arrived(position: number, kept: number): void;
  /** A ztoc cannot describe the layer, for this reason. The pass goes on, and reads all that containerd does. */
  onUnsupported(reason: SociError): void;
}
