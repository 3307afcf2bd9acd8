// Workloads without a stored credential: the official AWS SDK and Google's auth library in processes whose environment
// is empty but for what a machine would have.
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, emulatorVariables, type InstanceKind } from '../src/index.ts';
import { emulator, runClient } from './emulated.ts';

const contextOf = (identity: string) => ({ 'clef:identity': identity, 'clef:environment': 'production' });

describe('one AWS key, two sister services', () => {
  let cloud: Emulator;
  let ciphertext: string;

  beforeAll(async () => {
    cloud = await emulator();
    for (const role of ['service-a', 'service-b']) {
      await cloud.createRole(role);
      await cloud.allowRole({
        role,
        key: cloud.awsKey.arn,
        may: 'decrypt',
        context: { 'clef:identity': role },
      });
    }
    const sealed = await runClient('aws-kms', emulatorVariables(cloud), {
      key: 'alias/clef',
      plaintext: 'the one-time key',
      context: contextOf('service-a'),
    });
    expect(sealed['keyId']).toBe(cloud.awsKey.arn);
    ciphertext = sealed['ciphertext'] as string;
  });

  it.each<InstanceKind>(['ec2', 'ecs'])('the role decrypts through its %s endpoint', async (kind) => {
    const { variables } = await cloud.instance('service-a', kind);
    const opened = await runClient('aws-kms', variables, { ciphertext, context: contextOf('service-a') });
    expect(opened).toEqual({ plaintext: 'the one-time key', keyId: cloud.awsKey.arn });
  });

  it.each([
    ['the other service with the first one’s context', 'service-b', 'service-a', 'AccessDeniedException'],
    ['the other service with its own context', 'service-b', 'service-b', 'InvalidCiphertextException'],
    ['the right service with the other’s context', 'service-a', 'service-b', 'AccessDeniedException'],
  ])('refused: %s', async (_, role, identity, error) => {
    const { variables } = await cloud.instance(role);
    const answer = await runClient('aws-kms', variables, { ciphertext, context: contextOf(identity) });
    expect(answer['error']).toBe(error);
  });

  it('a role that may decrypt may not encrypt', async () => {
    const { variables } = await cloud.instance('service-a');
    const answer = await runClient('aws-kms', variables, {
      key: cloud.awsKey.arn,
      plaintext: 'x',
      context: contextOf('service-a'),
    });
    expect(answer['error']).toBe('AccessDeniedException');
    expect(answer['message']).toContain('assumed-role/service-a/i-0');
    expect(answer['message']).toContain('kms:Encrypt');
  });

  it('a revoked role is refused, and works again when restored', async () => {
    const { variables } = await cloud.instance('service-a');
    const request = { ciphertext, context: contextOf('service-a') };
    await cloud.revokeRole('service-a');
    expect((await runClient('aws-kms', variables, request))['error']).toBe('AccessDeniedException');
    await cloud.restoreRole('service-a');
    expect((await runClient('aws-kms', variables, request))['plaintext']).toBe('the one-time key');
  });

  it('a disabled key is refused', async () => {
    const { arn } = await cloud.createKey({ keyId: randomUUID() });
    await cloud.setKeyEnabled(arn, false);
    const answer = await runClient('aws-kms', emulatorVariables(cloud), { key: arn, plaintext: 'x' });
    expect(answer['error']).toBe('DisabledException');
  });

  it('with another secret the signature does not match', async () => {
    const variables = { ...emulatorVariables(cloud), AWS_SECRET_ACCESS_KEY: 'A'.repeat(40) };
    const answer = await runClient('aws-kms', variables, { key: 'alias/clef', plaintext: 'x' });
    expect(answer['error']).toBe('InvalidSignatureException');
  });

  it('no machine, no credentials: nothing reaches KMS', async () => {
    const { AWS_EC2_METADATA_SERVICE_ENDPOINT: _, ...rest } = (await cloud.instance('service-a')).variables;
    const variables = { ...rest, AWS_EC2_METADATA_DISABLED: 'true' };
    const before = cloud.calls()['aws.Decrypt'];
    const answer = await runClient('aws-kms', variables, { ciphertext, context: contextOf('service-a') });
    expect(answer['error']).toBe('CredentialsProviderError');
    expect(cloud.calls()['aws.Decrypt']).toBe(before);
  });
});
