/** Scopes of the token specification: what a token allows, e.g. `repository:library/debian:pull,push`. */

export type RepositoryAction = 'pull' | 'push' | 'delete';

/** The scope of `actions` on one repository; pushing always pulls too, since it checks what is there. */
export function repositoryScope(repository: string, ...actions: readonly RepositoryAction[]): string {
  const all = actions.includes('push') ? new Set<string>(['pull', ...actions]) : new Set<string>(actions);
  return `repository:${repository}:${[...all].sort().join(',')}`;
}

/** The name may itself contain colons (a host with a port), so the actions are what follows the last one. */
function split(scope: string): { resource: string; actions: readonly string[] } {
  const colon = scope.lastIndexOf(':');
  return { resource: scope.slice(0, colon), actions: scope.slice(colon + 1).split(',') };
}

/** Scopes of the same resource joined and sorted, so that equal sets have equal text. */
export function mergeScopes(scopes: Iterable<string>): string[] {
  const merged = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const { resource, actions } = split(scope);
    const known = merged.get(resource) ?? new Set();
    for (const action of actions) {
      known.add(action);
    }
    merged.set(resource, known);
  }
  return [...merged].map(([resource, actions]) => `${resource}:${[...actions].sort().join(',')}`).sort();
}

/** Whether a token for `granted` also serves `wanted`. */
export function coversScopes(granted: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every(scope => {
    const want = split(scope);
    return granted.some(offer => {
      const { resource, actions } = split(offer);
      return (
        resource === want.resource &&
        want.actions.every(action => actions.includes(action) || actions.includes('*'))
      );
    });
  });
}
