// AWS KMS and Google Cloud KMS on a laptop: their wire protocols over software keys, and the machines that have roles.
export type { RecordedCall } from './cloud.ts';
export {
  type EmulatedAwsKey,
  type EmulatedGcpKey,
  type EmulatedRole,
  type Emulator,
  type EmulatorOptions,
  type Grant,
  startEmulator,
} from './emulator.ts';
export { type EmulatorCode, EmulatorError } from './emulator-error.ts';
export { emulatorVariables } from './emulator-variables.ts';
export { type FaultKind, type FaultRule, faultKinds } from './faults.ts';
export type { Instance, InstanceKind } from './instances.ts';
export type { RandomBytes } from './software-key.ts';
export type { Administrator, KeyUse } from './state.ts';
