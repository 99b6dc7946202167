/**
 * The most memory that this process had at once, in bytes. Linux keeps in the
 * figure of getrusage(2) what the parent had when it started the process (exec
 * carries it over, kernel/fs/exec.c), but not in that of /proc.
 */
import { readFileSync } from 'node:fs';

export function peakMemory(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  if (kibibytes === undefined) throw new Error('/proc/self/status: no VmHWM');
  return Number(kibibytes) * 1024;
}
