// The variables that open secrets: of no use to a child process, and worth stealing (catalogue INV-94).
import type { World } from '../world.ts';

const ownVariables = /^(CLEF_AGE_KEY|CLEF_SIGNING_|CLEF_AGENT_|SOPS_AGE_)/;

/** Whether a variable is one of them. */
export function isOwnVariable(name: string): boolean {
  return ownVariables.test(name);
}

/** The environment without them. */
export function withoutOwnVariables(environment: World['environment']): World['environment'] {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !isOwnVariable(name)));
}
