// The sidecar: keep one artifact fresh and serve its values on loopback.
export { runAgent } from './run-agent.ts';
export { type AgentWorld, processWorld } from './world.ts';
