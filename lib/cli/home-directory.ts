/** The user's home directory in an environment, as os.homedir() has it of the process's own. */
import { userInfo } from 'node:os';
import type { Environment } from './surroundings.js';

/** What the environment says, even if that is no directory; else what the system's list of users does. */
export function homeDirectory(env: Environment): string {
  return env[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'] ?? userInfo().homedir;
}
