/**
 * fast-check, which every test of properties imports from here: with FC_SEED in the
 * environment all of them try the cases of that seed. CI derives it from the commit, so
 * that each commit tries other cases than the last, and the same ones whenever it is run.
 */
import fc from 'fast-check';

const seed = process.env['FC_SEED'];
if (seed !== undefined) {
  if (!/^-?\d{1,10}$/.test(seed) || (Number(seed) | 0) !== Number(seed)) {
    throw new Error(`expected an integer of 32 bits in FC_SEED, found '${seed}'`);
  }
  fc.configureGlobal({ seed: Number(seed) });
}

export default fc;
