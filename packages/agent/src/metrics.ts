// What the agent counts, and the text in which Prometheus reads it. Labels are words from the code: no name of a key, no
// path, no address. Counting costs a request one addition.

/** Requests by route and status. */
export type RequestCounter = { count(status: number): void };

/** What is read at the moment somebody asks. `undefined` leaves the line out. */
export type Gauges = {
  readonly revision: number | undefined;
  readonly epoch: number | undefined;
  readonly expiresAtSeconds: number | undefined;
  readonly lastSuccessTimestampSeconds: number | undefined;
  readonly ready: boolean;
  readonly floorDurable: boolean;
  readonly connections: number;
  readonly watchers: number;
  readonly heartbeatLagSeconds: number;
};

export type Metrics = {
  requestsOf(route: string): RequestCounter;
  /** A request that never reached a route, by the code of its refusal. */
  requestRefused(reason: string): void;
  /** One asking of the source and what came of it: `accepted`, `unchanged`, or the reason of its failure. */
  refreshed(result: string): void;
  /** An artifact that was not accepted. */
  artifactRefused(reason: string): void;
  kmsCalled(result: string): void;
  /** Prometheus text format, version 0.0.4. */
  format(version: string, gauges: Gauges): string;
};

const highestStatus = 600;

export function createMetrics(): Metrics {
  const requests = new Map<string, Float64Array>();
  const counters = {
    refused: new Map<string, number>(),
    refreshes: new Map<string, number>(),
    artifacts: new Map<string, number>(),
    kms: new Map<string, number>(),
  };
  const add = (counter: Map<string, number>, label: string): void => {
    counter.set(label, (counter.get(label) ?? 0) + 1);
  };
  return {
    requestsOf: (route) => {
      const counts = requests.get(route) ?? new Float64Array(highestStatus);
      requests.set(route, counts);
      return {
        count: (status) => {
          counts[status] = (counts[status] ?? 0) + 1;
        },
      };
    },
    requestRefused: (reason) => add(counters.refused, reason),
    refreshed: (result) => add(counters.refreshes, result),
    artifactRefused: (reason) => add(counters.artifacts, reason),
    kmsCalled: (result) => add(counters.kms, result),
    format: (version, gauges) =>
      [
        family('info', 'gauge', 'The version that runs', [[{ version }, 1]]),
        ...formatGauges(gauges),
        family(
          'refresh_total',
          'counter',
          'Times the source was asked, by what came of it',
          labelled('result', counters.refreshes),
        ),
        family(
          'refusals_total',
          'counter',
          'Artifacts that were not accepted, by reason',
          labelled('reason', counters.artifacts),
        ),
        family('kms_calls_total', 'counter', 'Calls to the KMS, by result', labelled('result', counters.kms)),
        family('requests_total', 'counter', 'Requests that reached a route', requestSamples(requests)),
        family(
          'requests_refused_total',
          'counter',
          'Requests that reached none, by reason',
          labelled('reason', counters.refused),
        ),
      ].join(''),
  };
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Each with its line of help; in seconds where it is a time. */
const gaugeRows = {
  revision: ['revision', 'The revision that is served'],
  epoch: ['epoch', 'The position of the key that signed it'],
  expiresAtSeconds: ['expires_at_seconds', 'When it stops being served (Unix time)'],
  lastSuccessTimestampSeconds: [
    'last_success_timestamp_seconds',
    'When the source last gave or confirmed what is served (Unix time)',
  ],
  ready: ['ready', 'Whether there is anything to serve'],
  floorDurable: ['floor_durable', 'Whether the newest revision is remembered across restarts'],
  connections: ['connections', 'Open connections'],
  watchers: ['watchers', 'Connections that follow /v1/watch'],
  heartbeatLagSeconds: ['heartbeat_lag_seconds', 'How late the last beat of the refresh loop was'],
} satisfies Record<keyof Gauges, readonly [name: string, help: string]>;

function formatGauges(gauges: Gauges): string[] {
  return Object.entries(gauges).map(([key, value]) => {
    const [name, help] = gaugeRows[key as keyof Gauges];
    return family(name, 'gauge', help, value === undefined ? [] : [[{}, Number(value)]]);
  });
}

function labelled(label: string, counter: ReadonlyMap<string, number>): Sample[] {
  return [...counter].map(([value, count]) => [{ [label]: value }, count]);
}

function requestSamples(requests: ReadonlyMap<string, Float64Array>): Sample[] {
  return [...requests].flatMap(([route, counts]) =>
    [...counts].flatMap((count, status): Sample[] =>
      count === 0 ? [] : [[{ route, status: String(status) }, count]],
    ),
  );
}

function family(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const full = `clef_agent_${name}`;
  const lines = samples.map(([labels, value]) => `${full}${formatLabels(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
}

/** Values are words of ours; JSON escapes what the format escapes. */
function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
