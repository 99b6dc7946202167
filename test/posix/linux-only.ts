/** The options of tests that need Linux. */
export const linuxOnly =
  process.platform === 'linux' ? {} : { skip: 'openat2, open file description locks and the rest are Linux' };
