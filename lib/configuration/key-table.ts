/**
 * Every key of the configuration file, once: the sections and keys of the reference's
 * `config.toml`, in its order. Properties, types, defaults, checks, warnings, what is
 * written and the tables of docs/configuration.md are derived from here.
 */
import { NamedTables, TableList } from './key.js';
import {
  choice,
  count,
  flag,
  integer,
  milliseconds,
  optionalFlag,
  registryUrl,
  requiredWord,
  seconds,
  size,
  socket,
  word,
  words,
} from './key-forms.js';

/** The least of a time that may be negative, which means that there is no limit. */
const ANY = Number.MIN_SAFE_INTEGER;
const CONTAINERD = '/run/containerd/containerd.sock';

export const KEYS = {
  http_cache_type: word({
    initial: '',
    use: 'nothing',
    meaning: 'the reference reads it, and uses it nowhere',
  }),
  filesystem_cache_type: word({
    initial: '',
    use: 'nothing',
    meaning: 'where spans are kept: here in the store, and decoded ones in memory',
  }),
  resolve_result_entry: count({ initial: 30, least: 0, meaning: 'resolved layers that are kept open' }),
  debug: flag({ initial: false, meaning: 'log the requests of the kernel; names of files are among them' }),
  disable_verification: flag({
    initial: false,
    meaning: 'do not compare tar headers with the ztoc; spans are held against their digests in any case',
  }),
  max_concurrency: count({
    initial: 100,
    meaning: 'layers that are resolved ahead at the same time; negative: any number',
  }),
  no_prometheus: flag({ initial: false, meaning: 'no endpoint for metrics' }),
  mount_timeout_sec: seconds({ initial: 30, meaning: 'seconds that a mount waits for its layer' }),
  fuse_metrics_emit_wait_duration_sec: seconds({
    initial: 60,
    meaning: 'seconds after a mount when its operations are counted up',
  }),
  metrics_address: word({ initial: '', meaning: 'where metrics are served; "": nowhere' }),
  metrics_network: word({
    initial: 'tcp',
    meaning: '"unix": the address is a socket; else it is host and port',
  }),
  debug_address: word({ initial: '', meaning: 'where profiles are served; "": nowhere' }),
  metadata_store: choice(['db', 'db-multi'], {
    initial: 'db',
    use: 'nothing',
    meaning: 'how many databases the reference keeps names in; here they are tables in memory',
  }),
  metadata_db_no_sync: flag({ initial: false, use: 'nothing', meaning: 'as `metadata_store`' }),
  metadata_insertion_chunk_size: count({ initial: 5000, use: 'nothing', meaning: 'as `metadata_store`' }),
  skip_check_snapshotter_supported: flag({
    initial: false,
    meaning: 'start without trying whether the file system can do overlays',
  }),
  http: {
    DialTimeoutMsec: milliseconds({ initial: 3000, meaning: 'milliseconds until a connection stands' }),
    ResponseHeaderTimeoutMsec: milliseconds({
      initial: 3000,
      least: ANY,
      meaning: 'milliseconds until a reply begins; negative: any time',
    }),
    RequestTimeoutMsec: milliseconds({
      initial: 300_000,
      least: ANY,
      meaning: 'milliseconds for a request with its body; negative: any time',
    }),
    MaxRetries: count({ initial: 8, meaning: 'further attempts after the first; negative: none' }),
    MinWaitMsec: milliseconds({
      initial: 30,
      meaning: 'milliseconds before the first of them, twice as long before each other',
    }),
    MaxWaitMsec: milliseconds({ initial: 300_000, meaning: 'milliseconds before one of them at most' }),
  },
  blob: {
    valid_interval: count({
      initial: 60,
      meaning: 'seconds for which a registry is not asked again whether it has a layer; negative: none',
    }),
    check_always: flag({ initial: false, meaning: 'ask each time, whatever `valid_interval` says' }),
    fetching_timeout_sec: seconds({ initial: 300, meaning: 'seconds for a request for a range' }),
    max_retries: count({
      initial: 8,
      origin: ['http', 'maxRetries'],
      meaning: 'as in `[http]`, for ranges of layers',
    }),
    min_wait_msec: milliseconds({
      initial: 30,
      origin: ['http', 'minWaitMsec'],
      meaning: 'as in `[http]`, for ranges of layers',
    }),
    max_wait_msec: milliseconds({
      initial: 300_000,
      origin: ['http', 'maxWaitMsec'],
      meaning: 'as in `[http]`, for ranges of layers',
    }),
    force_single_range_mode: flag({
      initial: false,
      use: 'nothing',
      meaning: 'one range in a request, which is the only way here',
    }),
    max_span_verification_retries: integer({
      initial: 0,
      meaning: 'how often a span is fetched again whose digest is wrong; negative: 3 times',
    }),
  },
  directory_cache: {
    max_lru_cache_entry: count({
      initial: 10,
      use: 'nothing',
      meaning: 'without effect in the reference, too',
    }),
    max_cache_fds: count({ initial: 10, use: 'nothing', meaning: 'without effect in the reference, too' }),
    sync_add: flag({ initial: false, use: 'nothing', meaning: 'without effect in the reference, too' }),
    direct: flag({ initial: true, use: 'nothing', meaning: 'without effect in the reference, too' }),
  },
  fuse: {
    attr_timeout: seconds({ initial: 1, meaning: 'seconds for which the kernel keeps attributes' }),
    entry_timeout: seconds({ initial: 1, meaning: 'seconds for which the kernel keeps names' }),
    negative_timeout: seconds({
      initial: 1,
      meaning: 'seconds for which the kernel keeps that a name is not there',
    }),
    log_fuse_operations: flag({ initial: false, meaning: 'log operations with their paths' }),
  },
  background_fetch: {
    disable: flag({ initial: false, meaning: 'fetch nothing that nobody has asked for' }),
    silence_period_msec: milliseconds({
      initial: 30_000,
      meaning: 'milliseconds without background requests after an image was mounted',
    }),
    fetch_period_msec: milliseconds({ initial: 500, meaning: 'milliseconds from one span to the next' }),
    max_queue_size: count({ initial: 300, meaning: 'layers that wait for it; negative: any number' }),
    drop_policy: choice(['newest', 'oldest'], {
      initial: 'newest',
      meaning: 'which one is left out where more would wait; it stays lazy',
    }),
    emit_metric_period_sec: seconds({
      initial: 10,
      meaning: 'seconds from one count of those that wait to the next',
    }),
  },
  content_store: {
    type: choice(['soci', 'containerd'], {
      initial: 'soci',
      meaning: 'where blobs are kept; a pull needs neither of them, as there is a [store](store.md)',
    }),
    containerd_address: socket({
      initial: CONTAINERD,
      meaning: "containerd's socket; `unix://` in front of it is taken off",
    }),
  },
  prefetch: {
    enable: flag({
      initial: false,
      meaning: 'fetch what the prefetch artifacts of an index name before a mount is there',
    }),
    max_concurrency: integer({ initial: 0, meaning: 'layers at the same time; 0 or less: any number' }),
  },
  pull_modes: {
    soci_v1: { enable: flag({ initial: false, meaning: 'look for indexes that refer to the image' }) },
    soci_v2: {
      enable: flag({ initial: true, meaning: "take the index that the image's own manifest names" }),
    },
    parallel_pull_unpack: {
      enable: flag({ initial: false, meaning: 'never mount lazily: pull and unpack in parallel' }),
      parallel_pull_as_fallback: optionalFlag({
        spelling: 'experimental_parallel_pull_as_fallback',
        meaning:
          'pull images in parallel that have no index; both spellings are read; absent: `false` to the reference',
      }),
      max_concurrent_downloads: integer({
        initial: -1,
        use: 'pull',
        meaning: 'requests under way for all images together; 0 or less: any number',
      }),
      max_concurrent_downloads_per_image: integer({
        initial: 3,
        use: 'pull',
        meaning: 'requests under way for one image; 0 or less: any number',
      }),
      concurrent_download_chunk_size: size({
        use: 'pull',
        meaning: 'what one request is for: `"8mb"`; `""` or `"0"`: a whole layer; at most `"1024gb"`',
      }),
      max_concurrent_unpacks: integer({
        initial: -1,
        use: 'pull',
        meaning: 'layers that are unpacked at the same time, of all images; 0 or less: any number',
      }),
      max_concurrent_unpacks_per_image: integer({
        initial: 1,
        use: 'pull',
        meaning: 'layers of one image that are unpacked at the same time; 0 or less: any number',
      }),
      discard_unpacked_layers: flag({
        initial: false,
        use: 'pull',
        meaning: 'do not keep compressed layers that are unpacked',
      }),
      decompress_streams: new NamedTables('ALGORITHM', {
        path: requiredWord({
          use: 'pull',
          meaning:
            'a program that [unpacks in our place](#decompress_streams); ALGORITHM is `gzip` or `zstd`',
        }),
        args: words({ use: 'pull', meaning: 'its arguments, each as it stands' }),
      }),
    },
  },
  kubeconfig_keychain: {
    enable_keychain: flag({ initial: false, meaning: 'take credentials out of the secrets of a cluster' }),
    kubeconfig_path: word({ initial: '', meaning: '"": `$KUBECONFIG`, or `~/.kube/config`' }),
  },
  cri_keychain: {
    enable_keychain: flag({
      initial: false,
      meaning: 'serve the image service of CRI, and remember credentials of pulls',
    }),
    image_service_path: socket({ initial: CONTAINERD, meaning: 'the socket of the image service behind it' }),
  },
  resolver: {
    auth_client_ttl_sec: count({
      initial: 3600,
      meaning: 'seconds for which credentials of an image are kept; negative: for ever',
    }),
    enable_auth_client_sharing: flag({
      initial: false,
      meaning: 'images with the same credentials at a host share tokens',
    }),
    host: new NamedTables('HOST', {
      mirrors: new TableList({
        host: registryUrl({
          meaning:
            'URL of a mirror of HOST, without credentials; they are asked in their order, then HOST itself',
        }),
        insecure: flag({ initial: false, meaning: 'speak plain HTTP to it' }),
        request_timeout_sec: integer({
          initial: 0,
          meaning: 'seconds for a request to it; 0: as in `[http]`; negative: any time',
        }),
      }),
    }),
  },
  snapshotter: {
    min_layer_size: integer({ initial: 0, meaning: 'layers with fewer bytes are not mounted lazily' }),
    allow_invalid_mounts_on_restart: flag({
      initial: false,
      meaning: 'go on starting where a layer cannot be mounted again',
    }),
  },
} as const;
