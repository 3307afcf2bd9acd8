// The tests that need nothing but npm. Workspace packages are loaded from their sources.
import { defineConfig } from 'vitest/config';

// Not "module": it names the files that bundlers read, which Node cannot load (the AWS SDK's have no extensions).
export const sourceConditions = ['clef-source', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions: sourceConditions },
  ssr: { resolve: { conditions: sourceConditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/*.peer.test.ts'],
    globalSetup: ['test/bundle-first.ts'],
    setupFiles: ['test/seed.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
