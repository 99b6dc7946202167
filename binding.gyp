# Two targets: zlib, compiled from the sources that native/zlib-dir.cjs finds,
# and the addon, over the headers that native/node-addon-api-dir.cjs finds. On
# Linux the node binary exports a zlib of its own, which silently replaces any
# copy that a loaded library exports under the same names: so nothing here is
# visible, and test/binding/ checks it with nm.
#
# node-gyp rebuild --sanitize=address,undefined builds for the sanitizers.
{
  'variables': {
    'sanitize%': '',
    'zlib_dir': '<!(node native/zlib-dir.cjs)',
    'node_addon_api_dir': '<!(node native/node-addon-api-dir.cjs)',
  },
  'target_defaults': {
    'cflags': [
      '-fvisibility=hidden', '-ffunction-sections', '-fdata-sections',
    ],
    # node keeps frame pointers for perf; the inflate loop needs the register.
    'cflags!': ['-fno-omit-frame-pointer'],
    'cflags_cc': ['-std=c++17', '-fvisibility-inlines-hidden'],
    'cflags_cc!': ['-std=gnu++17'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'DEAD_CODE_STRIPPING': 'YES',
      'GCC_INLINES_ARE_PRIVATE_EXTERN': 'YES',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
    },
    'conditions': [
      ['sanitize!=""', {
        'cflags': [
          '-fsanitize=<(sanitize)', '-fno-sanitize-recover=all',
          '-fno-omit-frame-pointer', '-g', '-O1',
        ],
        'cflags!': ['-O3'],
        'ldflags': ['-fsanitize=<(sanitize)'],
      }],
    ],
  },
  'targets': [
    {
      'target_name': 'zlib',
      'type': 'static_library',
      # Raw inflate and CRC-32 only: gzip framing is the core's own.
      'sources': [
        '<(zlib_dir)/adler32.c',
        '<(zlib_dir)/crc32.c',
        '<(zlib_dir)/inffast.c',
        '<(zlib_dir)/inflate.c',
        '<(zlib_dir)/inftrees.c',
        '<(zlib_dir)/zutil.c',
      ],
      'cflags': ['-w'],
      'xcode_settings': {'WARNING_CFLAGS': ['-w']},
      'conditions': [['OS!="win"', {'defines': ['HAVE_UNISTD_H']}]],
    },
    {
      'target_name': 'seekable_oci',
      'dependencies': ['zlib'],
      # Errors become JavaScript exceptions, never C++ ones; and where nothing can
      # be thrown, since an environment is being torn down, they are dropped
      # instead of ending the process.
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # The plus puts them in front of node's headers, where there is another
      # zlib.h. (gyp honours it in targets only, not in target_defaults.)
      'include_dirs+': ['<(zlib_dir)', 'native', '<(node_addon_api_dir)'],
      'sources': [
        'native/addon/abort_flag.cc',
        'native/addon/arguments.cc',
        'native/addon/decode_job.cc',
        'native/addon/early_copies.cc',
        'native/addon/environment.cc',
        'native/addon/failure.cc',
        'native/addon/finish_job.cc',
        'native/addon/guess_job.cc',
        'native/addon/hash_job.cc',
        'native/addon/indexer.cc',
        'native/addon/job_memory.cc',
        'native/addon/job_queue.cc',
        'native/addon/job_result.cc',
        'native/addon/module.cc',
        'native/addon/pool_job.cc',
        'native/addon/run_job.cc',
        'native/addon/scan_job.cc',
        'native/addon/scratch_memory.cc',
        'native/addon/span_decoder.cc',
        'native/addon/span_options.cc',
        'native/core/block_finder.cc',
        'native/core/block_header.cc',
        'native/core/checkpoint.cc',
        'native/core/fast_inflater.cc',
        'native/core/fast_inflater_pair.cc',
        'native/core/fast_loop.cc',
        'native/core/fast_pair_loop.cc',
        'native/core/fast_tables.cc',
        'native/core/gzip_crc32.cc',
        'native/core/gzip_crc32_x86.cc',
        'native/core/gzip_frame.cc',
        'native/core/gzip_indexer.cc',
        'native/core/inflater.cc',
        'native/core/layer_digests.cc',
        'native/core/layer_indexer.cc',
        'native/core/look_ahead.cc',
        'native/core/marked_blocks.cc',
        'native/core/marked_loop.cc',
        'native/core/marked_output.cc',
        'native/core/pax_records.cc',
        'native/core/sha256.cc',
        'native/core/sha256_arm.cc',
        'native/core/sha256_blocks.cc',
        'native/core/sha256_x86.cc',
        'native/core/span_decoder.cc',
        'native/core/tar_header.cc',
        'native/core/tar_number.cc',
        'native/core/tar_scanner.cc',
        'native/core/tree/tar_blocks.cc',
        'native/core/verified_span.cc',
        'native/core/zlib_inflater.cc',
      ],
      'conditions': [
        ['OS!="win"', {
          'sources': [
            'native/addon/tree_job.cc',
            'native/addon/tree_writer.cc',
            'native/core/tree/batch_run.cc',
            'native/core/tree/beneath.cc',
            'native/core/tree/directory_clearing.cc',
            'native/core/tree/entry_attributes.cc',
            'native/core/tree/file_contents.cc',
            'native/core/tree/open_entry.cc',
            'native/core/tree/open_files.cc',
            'native/core/tree/parent_directory.cc',
            'native/core/tree/tree_operations.cc',
            'native/core/tree/tree_removal.cc',
            'native/core/tree/tree_writer.cc',
          ],
        }],
        ['OS=="linux"', {
          'sources': [
            'native/addon/posix.cc',
            'native/addon/posix_datagram.cc',
            'native/addon/posix_descriptors.cc',
            'native/addon/posix_lock.cc',
            'native/addon/posix_mapping.cc',
            'native/addon/posix_openat2.cc',
          ],
          'ldflags': [
            '-Wl,-Bsymbolic', '-Wl,--exclude-libs,ALL', '-Wl,--gc-sections',
          ],
        }],
      ],
    },
  ],
}
