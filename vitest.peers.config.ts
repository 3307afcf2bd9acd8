// The tests against independent programs (sops, age, aws, gcloud, moto_server, strace). Each fails where its peer is absent;
// test/peers.ts says which may be missing.
import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: ['packages/*/test/**/*.peer.test.ts', 'test/**/*.peer.test.ts'],
      exclude: ['**/node_modules/**'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
  }),
);
