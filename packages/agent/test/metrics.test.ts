// What Prometheus reads: the text format to the letter, the right numbers, and no name of a key.
import { describe, expect, test } from 'vitest';
import { createMetrics, type Gauges } from '../src/metrics.ts';
import { readMetrics } from './read-metrics.ts';

const gauges: Gauges = {
  revision: 7,
  epoch: 0,
  expiresAtSeconds: 1_769_900_000.5,
  lastSuccessTimestampSeconds: 1_769_800_000,
  ready: true,
  floorDurable: false,
  connections: 3,
  watchers: 1,
  heartbeatLagSeconds: 0,
};

test('gauges and counters', () => {
  const metrics = createMetrics();
  const all = metrics.requestsOf('/v1/secrets');
  for (let count = 0; count < 3; count += 1) all.count(200);
  all.count(304);
  metrics.requestsOf('/v1/secrets').count(200);
  metrics.refreshed('accepted');
  metrics.refreshed('unchanged');
  metrics.refreshed('unchanged');
  metrics.artifactRefused('signature');
  metrics.kmsCalled('ok');
  metrics.requestRefused('unauthorized');
  expect(Object.fromEntries(readMetrics(metrics.format('1.2.3', gauges)))).toEqual({
    'clef_agent_info{version="1.2.3"}': 1,
    clef_agent_revision: 7,
    clef_agent_epoch: 0,
    clef_agent_expires_at_seconds: 1_769_900_000.5,
    clef_agent_last_success_timestamp_seconds: 1_769_800_000,
    clef_agent_ready: 1,
    clef_agent_floor_durable: 0,
    clef_agent_connections: 3,
    clef_agent_watchers: 1,
    clef_agent_heartbeat_lag_seconds: 0,
    'clef_agent_refresh_total{result="accepted"}': 1,
    'clef_agent_refresh_total{result="unchanged"}': 2,
    'clef_agent_refusals_total{reason="signature"}': 1,
    'clef_agent_kms_calls_total{result="ok"}': 1,
    'clef_agent_requests_total{route="/v1/secrets",status="200"}': 4,
    'clef_agent_requests_total{route="/v1/secrets",status="304"}': 1,
    'clef_agent_requests_refused_total{reason="unauthorized"}': 1,
  });
});

describe('what is not there has no line', () => {
  test('nothing counted, nothing served', () => {
    const none = { revision: undefined, epoch: undefined, expiresAtSeconds: undefined };
    const text = createMetrics().format('1', {
      ...gauges,
      ...none,
      lastSuccessTimestampSeconds: undefined,
      ready: false,
    });
    expect([...readMetrics(text).keys()]).toEqual([
      'clef_agent_info{version="1"}',
      'clef_agent_ready',
      'clef_agent_floor_durable',
      'clef_agent_connections',
      'clef_agent_watchers',
      'clef_agent_heartbeat_lag_seconds',
    ]);
  });
});
