// An HTTP server that only this machine can reach: bind, gate, token, respond.
export { type RefusalCode, refusalTable } from './gate.ts';
export type { ListenAddress } from './listen.ts';
export { type LoopbackCode, LoopbackError } from './loopback-error.ts';
export { errorReply, json, prepareReply, type Reply, type StreamSink } from './respond.ts';
export {
  type LoopbackLimits,
  type LoopbackOptions,
  type LoopbackRequest,
  type LoopbackServer,
  startLoopbackServer,
} from './server.ts';
