/**
 * The public surface, documented in docs/api.md. Everything that is not exported
 * here may change between any two releases.
 */
export { type EngineName, zlibVersion } from './binding.js';
export {
  type Configuration,
  defaultConfiguration,
  type ParseConfigurationOptions,
  parseConfiguration,
  type ReadConfigurationOptions,
  readConfiguration,
} from './configuration/configuration.js';
export { formatConfiguration } from './configuration/configuration-format.js';
export {
  fastPullLimits,
  type Machine,
  PULL_PRESETS,
  type PullLimits,
} from './configuration/pull-presets.js';
export { ERROR_CODES, type FileErrorCode, SociError, type SociErrorCode } from './errors.js';
export type { GlobOptions, NameOptions, OpendirOptions, ReaddirOptions } from './image/call-options.js';
export type { DiffIdProof } from './image/diff-id-proof.js';
export type { ImageDirectory } from './image/directory-walk.js';
export type {
  BytesOptions,
  EncodingOptions,
  RangeOptions,
  ReadFileOptions,
  TextOptions,
} from './image/file-content.js';
export type {
  FileHandle,
  FileHandle as ImageFile,
  FileHandle as LayerFile,
  ReadResult,
} from './image/file-handle.js';
export type { ImageDirent, ImageStats } from './image/file-stats.js';
export type { Image } from './image/image.js';
export type { ImageBlobCompletion, ImageCompletion } from './image/image-completion.js';
export type { ImageConfig } from './image/image-config.js';
export type { ImageLayerInfo } from './image/image-layer.js';
export {
  DEFAULT_IMAGE_LIMITS,
  type ImageLimits,
  type ImageProgress,
  type MissingZtoc,
  type OpenImageOptions,
  type ZtocLoading,
} from './image/image-options.js';
export type { ImageInRepository } from './image/image-origin.js';
export type {
  ImageFileLocation,
  ImageFilePlan,
  WholeLayer,
  WholeLayersPlan,
} from './image/image-plan.js';
export {
  type FilePlan,
  type FileRangeOptions,
  type Layer,
  type LayerTreeOptions,
  type LookupOptions,
  type OpenLayerOptions,
  openLayer,
  type TarRangeOptions,
} from './image/layer.js';
export type { LoadPlan, LoadStep, OmittedLoad } from './image/load-plan.js';
export { openImage } from './image/open-image.js';
export type { OmittedPath, PrefetchTarget } from './image/prefetch-target.js';
export type {
  PrefetchedLayer,
  PrefetchFailure,
  PrefetchOptions,
  PrefetchProgress,
  PrefetchReport,
} from './image/prefetching.js';
export type { Recording, Trace, TraceRead } from './image/recording.js';
export {
  type DerivedLoadOrder,
  type DeriveLoadOrderOptions,
  deriveLoadOrder,
} from './load-order/derive-load-order.js';
export {
  type ImportedTrace,
  type ImportTraceOptions,
  importTrace,
} from './load-order/import-trace.js';
export { mergeTraces, traceOf } from './load-order/merge-traces.js';
export { prefetchArtifacts } from './load-order/prefetch-export.js';
export {
  CHANNEL_NAMES,
  type ChannelEvents,
  type ChannelName,
  type HttpRequestEvent,
  type IndexStepEvent,
  type ProgressEvent,
  type RegistryEndpointEvent,
  type RegistryHedgeEvent,
  type SpanCacheHitEvent,
  type SpanDecodeEvent,
  type SpanFetchEvent,
  type StoreBlobEvent,
  type StoreDamageEvent,
  type StoreFailureEvent,
  type StoreReadEvent,
  subscribe,
} from './observe/channels.js';
export { type CollectedMetrics, collectMetrics, type MetricsSnapshot } from './observe/collected-metrics.js';
export { attachMetrics, type Metrics } from './observe/metrics.js';
export type { LayerWay } from './pull/layer-ztocs.js';
export type { PullContent, PulledImage } from './pull/pull-content.js';
export { type PullOptions, pullImage } from './pull/pull-image.js';
export { DEFAULT_PULL_LIMITS, type PullLimitOptions } from './pull/pull-limits.js';
export {
  decidePullModes,
  type ModeConfiguration,
  type ModeDecision,
  type ModeSubject,
  type PullMode,
} from './pull/pull-mode.js';
export type {
  PulledBlobReport,
  PulledTarget,
  PulledTree,
  PulledTreeLayer,
  PullOutcome,
  PullProgress,
  PullResult,
} from './pull/pull-report.js';
export type {
  PresentContent,
  PullBeginning,
  PullDestination,
  PullDestinationOptions,
  PulledBlob,
  PullTarget,
} from './pull/pull-target.js';
export type { TreeOptions } from './pull/tree-target.js';
export type { CredentialProvider, CredentialRequest, Credentials } from './registry/credentials.js';
export type { Descriptor } from './registry/descriptor.js';
export type { HostCapability, HostOptions, MirrorOptions, TlsOptions } from './registry/endpoint.js';
export type { HedgeOptions } from './registry/hedging.js';
export type { PlatformManifest } from './registry/image-entry.js';
export {
  type ImageLocation,
  type OpenedLocation,
  openImageLocation,
  parseImageLocation,
} from './registry/image-location.js';
export { type KeychainOptions, keychain } from './registry/keychain.js';
export type { ImageIndex, ImageManifest } from './registry/manifest.js';
export { formatPlatform, hostPlatform, type Platform, parsePlatform } from './registry/platform.js';
export { type ImageEntry, listImages, selectManifest } from './registry/platform-selection.js';
export {
  familiarReference,
  formatReference,
  type ImageReference,
  parseReference,
  referenceTarget,
} from './registry/reference.js';
export type { RegistryRepositoryOptions } from './registry/registry-repository.js';
export type {
  BlobContent,
  GetBlobOptions,
  ManifestContent,
  PushBlobOptions,
  PushManifestOptions,
  PushResult,
  ReferrersOptions,
  Repository,
} from './registry/repository.js';
export {
  type HostOrder,
  type RegistryOptions,
  type RegistryTimeouts,
  RegistryTransport,
} from './registry/transport.js';
export type {
  BuildIndexOptions,
  BuiltIndexes,
  CreatedIndex,
  EmptyImage,
  IndexedLayer,
  SkippedLayer,
  ZtocSummary,
} from './soci/build-indexes.js';
export { type ConvertImageOptions, type ConvertImageResult, convertImage } from './soci/convert-image.js';
export {
  type CopiedIndex,
  type CopyIndexOptions,
  type CopyIndexResult,
  copyIndex,
} from './soci/copy-index.js';
export { type CreateIndexOptions, type CreateIndexResult, createIndex } from './soci/create-index.js';
export {
  type FindIndexOptions,
  type FoundIndex,
  findIndex,
  type IndexAttempt,
  type IndexList,
  type IndexSearch,
  listIndexes,
} from './soci/find-index.js';
export {
  type FoundLoadOrder,
  findLoadOrder,
  type LoadOrderCandidate,
  type LoadOrderFault,
  type LoadOrderList,
  type LoadOrderRule,
  listLoadOrders,
} from './soci/find-load-order.js';
export { FolderZtocCache } from './soci/folder-ztoc-cache.js';
export type { IndexBinding } from './soci/index-binding.js';
export type { IndexEvent, IndexEventHandler, ZtocOrigin } from './soci/index-event.js';
export { DEFAULT_MIN_LAYER_SIZE, type LayerChoice, type SkipReason } from './soci/layer-choice.js';
export {
  encodeLoadOrder,
  LOAD_ORDER_TYPE,
  type Load,
  type LoadOrder,
  parseLoadOrder,
} from './soci/load-order.js';
export { type LoadZtocOptions, loadZtoc } from './soci/load-ztoc.js';
export { MemoryZtocCache } from './soci/memory-ztoc-cache.js';
export {
  type PlatformImage,
  type ResolvedImages,
  type ResolveImagesOptions,
  resolveImages,
} from './soci/platform-images.js';
export { parsePrefetchArtifact, type SpanRange } from './soci/prefetch-artifact.js';
export type { PrefetchArtifact } from './soci/prefetch-plan.js';
export {
  type PublishedIndex,
  type PublishIndexOptions,
  type PublishIndexResult,
  publishIndex,
  type SkippedImage,
} from './soci/publish-index.js';
export { type PushedIndex, type PushIndexOptions, pushIndex } from './soci/push-index.js';
export {
  type PushedLoadOrder,
  type PushLoadOrderOptions,
  pushLoadOrder,
} from './soci/push-load-order.js';
export {
  type EncodedSociIndex,
  encodeSociIndex,
  type PrefetchDescriptor,
  parseSociIndex,
  SOCI_INDEX_TYPE,
  type SociIndex,
  type SociIndexVersion,
  type ZtocDescriptor,
} from './soci/soci-index.js';
export type { ZtocCache, ZtocKey } from './soci/ztoc-cache.js';
export { BufferSource } from './source/buffer-source.js';
export { FileSource } from './source/file-source.js';
export type { GivenSource } from './source/given-source.js';
export type { HostTraffic } from './source/http/host-traffic.js';
export { HttpSource, type HttpSourceOptions } from './source/http/http-source.js';
export { HttpTransport, type HttpTransportOptions } from './source/http/http-transport.js';
export type { HeadersRequest, HttpStats, RequestHeaders } from './source/http/message.js';
export type { RetryPolicy } from './source/http/retry-policy.js';
export type { HttpTimeouts } from './source/http/timeouts.js';
export type { LinkEstimate } from './source/link-estimate.js';
export type {
  AbortableOptions,
  Lane,
  RangeSource,
  ReadOptions,
  SourceKeeping,
} from './source/range-source.js';
export { configure, ReadContext, type SharedParts, settings } from './span/read-context.js';
export type { ReadPart } from './span/read-part.js';
export type { LaneStats, ReadStats } from './span/read-stats.js';
export type { ReadPlan, WindowVerification } from './span/reader.js';
export { SpanReader, type SpanReaderOptions } from './span/reader.js';
export type { Settings } from './span/settings.js';
export type { Collected } from './store/eviction.js';
export {
  type BlobCompletion,
  type CollectOptions,
  type Pin,
  Store,
  type StoreOptions,
} from './store/store.js';
export type { KeptBlob } from './store/store-listing.js';
export type { EntryType, PaxRecord, TocEntry } from './tar/entry.js';
export type { FileTree, NodeAttributes, NodeName } from './tree/file-tree.js';
export type { LayerNote, NoteKind, Semantics } from './tree/layer-note.js';
export type { NodeKind } from './tree/node-kind.js';
export type { ImagePath, NameEncoding } from './tree/path-lookup.js';
export type { IdRange } from './unpack/id-map.js';
export type { LayerToUnpack, ZtocWanted } from './unpack/layer-pass.js';
export type { SkippedAttributes } from './unpack/tree-writing.js';
export { unpackImage } from './unpack/unpack-image.js';
export { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from './unpack/unpack-limits.js';
export type { UnpackImageOptions, UnpackProgress, UnpackTarget } from './unpack/unpack-options.js';
export type { UnpackedLayerSummary, UnpackImageResult } from './unpack/unpack-result.js';
export { type BuildZtocOptions, type BuildZtocResult, buildZtoc, DEFAULT_SPAN_SIZE } from './ztoc/build.js';
export type { Compression } from './ztoc/codec/codecs.js';
export type { LayerInput } from './ztoc/layer-input.js';
export { DEFAULT_ZTOC_LIMITS, type ZtocLimits } from './ztoc/limits.js';
export { type VerifyZtocOptions, verifyZtoc as verify } from './ztoc/verify.js';
export { type EntryRange, type Span, Ztoc, type ZtocDecodeOptions } from './ztoc/ztoc.js';
