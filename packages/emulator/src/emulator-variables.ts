// The environment with which a person, or a program, uses an emulator as its administrator.
import type { Emulator } from './emulator.ts';
import { awsEndpointVariables } from './instances.ts';

/**
 * Returns the variables to set. For AWS the administrator's access key (static, so for setting up only: a workload's
 * variables come from `instance`); for Google Cloud a metadata server whose service account is the administrator's, and
 * the token for programs that take one (sops: `GOOGLE_OAUTH_ACCESS_TOKEN`). Secret: they open every key of the emulator.
 */
export function emulatorVariables(emulator: Emulator): Readonly<Record<string, string>> {
  const { administrator, url } = emulator;
  return {
    ...awsEndpointVariables(emulator),
    AWS_ACCESS_KEY_ID: administrator.accessKeyId,
    AWS_SECRET_ACCESS_KEY: administrator.secretAccessKey,
    CLEF_GCP_KMS_ENDPOINT: url,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${url}/`,
    GCE_METADATA_HOST: `127.0.0.1:${emulator.port}`,
    GOOGLE_OAUTH_ACCESS_TOKEN: administrator.gcpToken,
  };
}
