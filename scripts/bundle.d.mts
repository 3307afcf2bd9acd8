/** Bundles both commands into `packages/{cli,agent}/dist`, replacing what is there. */
export function bundle(): Promise<void>;
