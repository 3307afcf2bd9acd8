// The tests that need nothing but npm. Workspace packages are loaded from their sources.
import { defineConfig } from 'vitest/config';

export const sourceConditions = ['clef-source', 'node', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions: sourceConditions },
  ssr: { resolve: { conditions: sourceConditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/*.peer.test.ts'],
    globalSetup: ['test/bundle-first.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
