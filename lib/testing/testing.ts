/** `seekable-oci/testing`: an OCI registry inside the process, for tests and demos. */
export type { RegistryAuth } from './auth.js';
export type { Fault, RequestMatcher } from './fault.js';
export { LayoutStorage } from './layout-storage.js';
export type { RegistryRequest, Reply } from './reply.js';
export { MemoryStorage, type RegistryStorage, type StoredManifest, type StoredReferrer } from './storage.js';
export { TestRegistry, type TestRegistryOptions } from './test-registry.js';
