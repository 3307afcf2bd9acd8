// Ask the Clef agent on this machine for a value. Importing this opens nothing and sends nothing.
export { get, secrets } from './client.ts';
export { type AgentFault, ClefAgentError, type ClientOptions } from './config.ts';
export { type ClefClient, createClient } from './create-client.ts';
export type { FollowOptions, SecretsChange } from './follow-changes.ts';
