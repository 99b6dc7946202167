/**
 * What a reader of tar headers makes of what is well-formed but not an entry
 * that everybody understands. One parser reads all tars; whoever reads one says
 * by which of these it does.
 */

export interface TarPolicy {
  /** 'skip': as Go's reader, for which it is an entry of its own, so that extensions in front of it are gone. */
  readonly globalPax: 'refuse' | 'skip';
  /** GNU's files with holes, in all their forms. */
  readonly sparse: 'refuse' | 'read';
  /**
   * The size of a type that has no data. Readers of a ztoc find the next header by it, so there it is kept, and
   * refused where data would have to follow; 'zero' is what it means.
   */
  readonly dataless: 'stated' | 'zero';
  /** '7', a contiguous file, which everybody but a ztoc takes for a regular one. */
  readonly contiguous: 'refuse' | 'regular';
  /** 'skip': with as many bytes of data as its size says. */
  readonly unknownTypes: 'refuse' | 'skip';
}

/** What a ztoc can describe of what Go's archive/tar reads: the reference's rules. */
export const GO: TarPolicy = {
  globalPax: 'refuse',
  sparse: 'refuse',
  dataless: 'stated',
  contiguous: 'refuse',
  unknownTypes: 'refuse',
};

/** What containerd unpacks: layers that no ztoc describes are read by it. */
export const LENIENT: TarPolicy = {
  globalPax: 'skip',
  sparse: 'read',
  dataless: 'zero',
  contiguous: 'regular',
  unknownTypes: 'refuse',
};

/** For archives that tools write around layouts: what is of no use in one is passed over. */
export const ARCHIVE: TarPolicy = { ...LENIENT, unknownTypes: 'skip' };
