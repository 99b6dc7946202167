/** Tables of contents out of thin air. */
import type { EntryFields, EntryType } from '../../lib/tar/entry.js';
import type { FrozenLayer } from '../../lib/tree/freeze.js';

export type SampleEntry = Partial<EntryFields> & { readonly name: string; readonly type?: EntryType };

export function tocOf(count: number, entryAt: (index: number) => SampleEntry): FrozenLayer['ztoc'] {
  const fields = (index: number): EntryFields => ({
    type: 'reg',
    linkname: '',
    offset: 512,
    size: 0,
    headerOffset: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    devmajor: 0,
    devminor: 0,
    uname: '',
    gname: '',
    modTime: '',
    pax: [],
    ...entryAt(index),
  });
  return {
    entryCount: count,
    fields,
    typeOf: index => fields(index).type,
    viewName: (index, view) => view.setText(fields(index).name),
    viewTime: (index, view) => view.setText(fields(index).modTime),
  };
}

export function layerOf(entries: readonly SampleEntry[]): FrozenLayer {
  const ztoc = tocOf(entries.length, index => entries[index] as SampleEntry);
  return { ztoc, size: entry => ztoc.fields(entry).size };
}
