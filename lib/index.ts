/**
 * The public surface, documented in docs/api.md. Everything that is not exported
 * here may change between any two releases.
 */
export { type EngineName, zlibVersion } from './binding.js';
export { ERROR_CODES, type FileErrorCode, SociError, type SociErrorCode } from './errors.js';
export {
  type FilePlan,
  type FileRangeOptions,
  type Layer,
  type LookupOptions,
  type OpenLayerOptions,
  openLayer,
} from './layer/layer.js';
export type { LayerFile, ReadResult } from './layer/layer-file.js';
export { BufferSource } from './source/buffer-source.js';
export { FileSource } from './source/file-source.js';
export type { HttpStats, HttpTimeouts } from './source/http-exchange.js';
export type { RetryPolicy } from './source/http-retry.js';
export { HttpSource, type HttpSourceOptions } from './source/http-source.js';
export { HttpTransport, type HttpTransportOptions, type RequestHeaders } from './source/http-transport.js';
export type { AbortableOptions, RangeSource } from './source/range-source.js';
export type { ReadStats } from './span/fetcher.js';
export type { ReadPart, ReadPlan, WindowVerification } from './span/reader.js';
export { SpanReader, type SpanReaderOptions } from './span/reader.js';
export { configure, type Settings, settings } from './span/settings.js';
export type { EntryType, PaxRecord, TocEntry } from './tar/entry.js';
export { type BuildZtocOptions, type BuildZtocResult, buildZtoc, DEFAULT_SPAN_SIZE } from './ztoc/build.js';
export type { LayerInput } from './ztoc/layer-input.js';
export { DEFAULT_ZTOC_LIMITS, type ZtocLimits } from './ztoc/limits.js';
export type { Compression } from './ztoc/schema.js';
export { type VerifyZtocOptions, verifyZtoc as verify } from './ztoc/verify.js';
export { type EntryRange, type Span, Ztoc, type ZtocDecodeOptions } from './ztoc/ztoc.js';
