// Table F of the security catalogue, as far as the gate decides it: raw bytes in, and nothing refused reaches the owner.
import { beforeEach, describe, expect, it } from 'vitest';
import { exchange, type RequestParts, request, serverWith, type TestServer, token } from './raw-client.ts';

let server: TestServer;
beforeEach(async () => {
  server = await serverWith();
});

type Row = [title: string, parts: RequestParts, statuses: readonly number[], code?: string];

const withHeader = (...headers: string[]): RequestParts => ({ headers });
const long = (length: number): string => 'x'.repeat(length);
const flip = (at: number): string => `Bearer ${token.slice(0, at)}!${token.slice(at + 1)}`;

const rows: Row[] = [
  ['F01: no token', { authorization: null }, [401], 'unauthorized'],
  ['F01: an empty Bearer', { authorization: 'Bearer ' }, [401], 'unauthorized'],
  ['F01: Bearer alone', { authorization: 'Bearer' }, [401], 'unauthorized'],
  ['F01: Bearer and two spaces', { authorization: `Bearer  ${token}` }, [401], 'unauthorized'],
  ['F01: bearer in lower case', { authorization: `bearer ${token}` }, [401], 'unauthorized'],
  ['F01: Basic', { authorization: `Basic ${btoa(`:${token}`)}` }, [401], 'unauthorized'],
  ['F01: the token without a scheme', { authorization: token }, [401], 'unauthorized'],
  ['F01: the token and a newline', { authorization: `Bearer ${token}\n` }, [400, 401]],
  ['F01: the token and a tab inside', { authorization: `Bearer ${token}\tx` }, [401], 'unauthorized'],
  [
    'F01: the token in the query',
    { authorization: null, target: `/v1/secrets?token=${token}` },
    [400],
    'query',
  ],
  [
    'F01: the token in a cookie',
    { authorization: null, headers: [`Cookie: token=${token}`] },
    [401],
    'unauthorized',
  ],
  [
    'F01: the token in a header of another name',
    { authorization: null, headers: [`X-Clef-Token: ${token}`] },
    [401],
  ],
  [
    'F01: the token in Proxy-Authorization',
    { authorization: null, headers: [`Proxy-Authorization: Bearer ${token}`] },
    [401],
  ],
  ['F02: a character changed at the start', { authorization: flip(0) }, [401], 'unauthorized'],
  ['F02: a character changed in the middle', { authorization: flip(20) }, [401], 'unauthorized'],
  ['F02: a character changed at the end', { authorization: flip(42) }, [401], 'unauthorized'],
  ['F02: a prefix', { authorization: `Bearer ${token.slice(0, -1)}` }, [401], 'unauthorized'],
  ['F02: one character more', { authorization: `Bearer ${token}x` }, [401], 'unauthorized'],
  [
    'F02: the token twice in two headers',
    withHeader(`Authorization: Bearer ${token}`),
    [400],
    'authorization_twice',
  ],
  [
    'F02: the token twice in one header',
    { authorization: `Bearer ${token}, Bearer ${token}` },
    [401],
    'unauthorized',
  ],

  ['F03, INV-64: no Host in HTTP/1.1', { host: null }, [400], 'host_missing'],
  ['F03, INV-64: no Host in HTTP/1.0', { host: null, version: 'HTTP/1.0' }, [400], 'host_missing'],
  ['F03, INV-64: no Host in HTTP/0.9', { host: null, version: 'HTTP/0.9' }, [400]],
  ['F03, INV-64: HTTP/0.9 with everything', { version: 'HTTP/0.9' }, [400]],
  ['F03, INV-64: HTTP/2.0 in the first line', { version: 'HTTP/2.0' }, [400]],
  ['F03, INV-64: HTTP/1.2', { version: 'HTTP/1.2' }, [400]],
  ['F03, INV-64: an empty Host', { host: '' }, [403], 'host_not_allowed'],
  ...[
    ...[
      'localhost:PORT',
      'evil.example',
      '127.0.0.1',
      '127.0.0.1:80',
      '127.1:PORT',
      '2130706433:PORT',
      '0.0.0.0:PORT',
    ],
    ...[
      '[::1]:PORT',
      '127.0.0.1.:PORT',
      '127.0.0.1:PORT.',
      '0x7F000001:PORT',
      '0X7F.0.0.1:PORT',
      'user@127.0.0.1:PORT',
    ],
    ...[
      '127.0.0.1:PORT@evil.example',
      '127.0.0.1:PORT, evil.example',
      '127.0.0.1:PORT,127.0.0.1:PORT',
      '127.0.0.1:0PORT',
    ],
    ...[
      '127.0.0.1:PORT/',
      'http://127.0.0.1:PORT',
      '127.0.0.1: PORT',
      '0177.0.0.1:PORT',
      '127.0.0.1:PORT#',
      'LOCALHOST',
    ],
  ].map(
    (host): Row => [
      `F04, INV-64: Host ${host}`,
      { host: null, headers: [`Host: ${host}`] },
      [403],
      'host_not_allowed',
    ],
  ),
  ['F05, INV-64: the same Host twice', withHeader('Host: 127.0.0.1:PORT'), [400], 'host_missing'],
  ['F05, INV-64: another Host after the right one', withHeader('Host: evil.example'), [400], 'host_missing'],
  ['F05, INV-64: another Host in other letters', withHeader('hOsT: evil.example'), [400], 'host_missing'],
  [
    'F06, INV-64: an absolute target to another host',
    { target: 'http://evil.example/v1/secrets' },
    [400],
    'target_form',
  ],
  ['F06, INV-64: a target without a slash', { target: 'v1/secrets' }, [400]],
  ['F07: Origin of another site', withHeader('Origin: https://evil.example'), [403], 'cross_origin'],
  ['F07: Origin null', withHeader('Origin: null'), [403], 'cross_origin'],
  ['F07: Origin of this server', withHeader('Origin: http://127.0.0.1:PORT'), [403], 'cross_origin'],
  ['F07: an empty Origin', withHeader('Origin:'), [403], 'cross_origin'],
  ['INV-65: Sec-Fetch-Site cross-site', withHeader('Sec-Fetch-Site: cross-site'), [403], 'cross_origin'],
  ['INV-65: Sec-Fetch-Site same-site', withHeader('Sec-Fetch-Site: same-site'), [403], 'cross_origin'],
  ['INV-65: Sec-Fetch-Site same-origin', withHeader('Sec-Fetch-Site: same-origin'), [403], 'cross_origin'],
  ['INV-65: Sec-Fetch-Site empty', withHeader('Sec-Fetch-Site:'), [403], 'cross_origin'],
  [
    'INV-65: Sec-Fetch-Site none, twice',
    withHeader('Sec-Fetch-Site: none', 'Sec-Fetch-Site: cross-site'),
    [403],
    'cross_origin',
  ],
  [
    'F08: a preflight',
    { method: 'OPTIONS', headers: ['Origin: https://evil.example', 'Access-Control-Request-Method: GET'] },
    [403],
    'cross_origin',
  ],
  ['F08: OPTIONS without Origin', { method: 'OPTIONS' }, [405], 'method_not_allowed'],
  ['F08: OPTIONS *', { method: 'OPTIONS', target: '*' }, [405], 'method_not_allowed'],
  [
    'F08: a request for the private network',
    withHeader('Access-Control-Request-Private-Network: true'),
    [403],
    'cross_origin',
  ],
  ...[
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Host: 127.0.0.1:PORT',
    'X-Forwarded-Proto: https',
    'Forwarded: for=1.2.3.4',
    'Via: 1.1 proxy',
    'X-Real-IP: 1.2.3.4',
    'x-fOrWaRdEd-sErVeR: x',
  ].map((header): Row => [`F09, INV-66: ${header}`, withHeader(header), [400], 'forwarded']),
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'QUERY', 'PURGE'].map(
    (method): Row => [`F10, INV-70: ${method}`, { method }, [400, 405]],
  ),
  ['F10, INV-70: CONNECT', { method: 'CONNECT', target: 'evil.example:443' }, [405], 'method_not_allowed'],
  ['F10, INV-70: get', { method: 'get' }, [400]],
  ['F10, INV-70: FOO', { method: 'FOO' }, [400]],
  [
    'F11, INV-70: Upgrade to websocket',
    withHeader(
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: x',
    ),
    [400],
    'upgrade',
  ],
  [
    'F11, INV-70: Upgrade to h2c',
    withHeader(
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    ),
    [400],
    'upgrade',
  ],
  ['F11, INV-70: Upgrade without Connection', withHeader('Upgrade: websocket'), [400], 'upgrade'],
  ['F12, INV-70: GET with a body', { headers: ['Content-Length: 2'], body: '{}' }, [400], 'body_not_allowed'],
  [
    'F12, INV-70: GET with an announced body that never comes',
    withHeader('Content-Length: 5'),
    [400],
    'body_not_allowed',
  ],
  [
    'F12, INV-70: GET with a chunked body',
    { headers: ['Transfer-Encoding: chunked'], body: '0\r\n\r\n' },
    [400],
    'body_not_allowed',
  ],
  ...['-1', '+5', '0x5', '5, 5', '5 5', '', '1e1', '99999999999999999999', '9223372036854775808', '00'].map(
    (length): Row => [`F12: Content-Length "${length}"`, withHeader(`Content-Length: ${length}`), [400]],
  ),
  ['F12: two lengths', withHeader('Content-Length: 0', 'Content-Length: 0'), [400]],
  [
    'F13: Content-Length and Transfer-Encoding',
    { headers: ['Content-Length: 5', 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' },
    [400],
  ],
  [
    'F13: Transfer-Encoding and Content-Length',
    { headers: ['Transfer-Encoding: chunked', 'Content-Length: 5'], body: '0\r\n\r\n' },
    [400],
  ],
  ...[
    'xchunked',
    'chunked, identity',
    'identity',
    'gzip',
    'chunked, chunked',
    'Chunked',
    '\tchunked',
    'chunked;q=1',
    '',
  ].map(
    (encoding): Row => [
      `F13: Transfer-Encoding "${encoding}"`,
      withHeader(`Transfer-Encoding: ${encoding}`),
      [400],
    ],
  ),
  [
    'F13: two Transfer-Encodings',
    withHeader('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    [400],
  ],
  ['INV-71: TE', withHeader('TE: trailers'), [400], 'bad_request'],
  ['INV-71: Trailer', withHeader('Trailer: X'), [400], 'bad_request'],
  ['F14: an obsolete folded header', withHeader('X-A: 1\r\n  2'), [400]],
  ['F14: a space before the colon', withHeader('X-A : 1'), [400]],
  ['F14: a space before the name', withHeader(' X-A: 1'), [400]],
  ['F14: NUL in a value', withHeader('X-A: a\0b'), [400]],
  ['F14: NUL in a name', withHeader('X-\0: a'), [400]],
  ['F14: DEL in a value', withHeader('X-A: a\x7fb'), [400]],
  ['F14: 0x80 in a value', withHeader('X-A: a\x80b'), [400], 'bad_request'],
  ['F14: 0xFF in a value', withHeader('X-A: \xff'), [400], 'bad_request'],
  ['F14: 0xE9 in a name', withHeader('X-\xe9: a'), [400]],
  ['F14: an empty name', withHeader(': a'), [400]],
  ['F14: a line without a colon', withHeader('nonsense'), [400]],
  ['F14: CR alone', withHeader('X-A: 1\rX-B: 2'), [400]],
  ['F15: a header of 20 KB', withHeader(`X-A: ${long(20_000)}`), [431], 'headers_too_large'],
  ['F15: a URL of 20 KB', { target: `/${long(20_000)}` }, [414, 431]],
  ['F15: a URL of 4,097 bytes', { target: `/${long(4_096)}` }, [414], 'target_too_long'],
  ['F15: a URL of 5 KB', { target: `/${long(5_000)}` }, [414], 'target_too_long'],
  [
    'F15: 100 small headers',
    withHeader(...Array.from({ length: 100 }, () => 'A: b')),
    [431],
    'headers_too_large',
  ],
  [
    'F15: 65 headers in all',
    withHeader(...Array.from({ length: 63 }, () => 'A: b')),
    [431],
    'headers_too_large',
  ],
  [
    'F15: 2,100 headers',
    withHeader(...Array.from({ length: 2_100 }, () => 'A:b')),
    [431],
    'headers_too_large',
  ],
  [
    'F15: the second Host hidden behind 2,000 headers',
    withHeader(...Array.from({ length: 2_000 }, () => 'A:b'), 'Host: evil.example'),
    [431],
  ],
  ...[
    '//v1/secrets',
    '/v1//secrets',
    '/v1/secrets//',
    '/v1/secrets;x',
    '/v1/%73ecrets',
    '/v1/secrets%00',
    '/v1/secrets%2e',
    '/v1/health/../secrets',
    '/v1/./secrets',
    '/..',
    '/.',
    '/v1/..',
    '/v1/secrets#x',
    '*',
    '/v1/secrets\\x',
    '/v1/secrets|',
    '/v1/"',
    '/v1/{a}',
    '/v1/`',
    '/%5f%5fproto%5f%5f',
    '/v1/secrets/..%2f',
    '/v1/health%2f',
    '/;/v1/health',
    '/v1/<x>',
  ].map((target): Row => [`F16, F17, INV-74: ${target}`, { target }, [404], 'not_found']),
  ['F16: a space in the target', { target: '/v1/secrets x' }, [400]],
  ['F16: bytes outside of ASCII in the target', { target: '/v1/secr\xe9ts' }, [400, 404]],
  ['F16: NUL in the target', { target: '/v1/secrets\0' }, [400]],
  ['F16: a tab in the target', { target: '/v1/secrets\tx' }, [400]],
  [
    'F16, INV-74: without the token an odd path looks like any other',
    { target: '/v1/%73ecrets', authorization: null },
    [401],
    'unauthorized',
  ],
  [
    'F16, INV-74: an odd spelling of a public path needs the token',
    { target: '/v1/health/', authorization: null },
    [401],
    'unauthorized',
  ],
  [
    'F16, INV-74: a longer public path needs the token',
    { target: '/v1/healthy', authorization: null },
    [401],
    'unauthorized',
  ],
  [
    'F16, INV-74: a public path in other letters needs the token',
    { target: '/V1/health', authorization: null },
    [401],
    'unauthorized',
  ],
  [
    'F16, INV-74: a public path in disguise needs the token',
    { target: '/v1/x/../health', authorization: null },
    [401],
    'unauthorized',
  ],
  ['F18: a query', { target: '/v1/secrets?x' }, [400], 'query'],
  ['F18: an empty query', { target: '/v1/secrets?' }, [400], 'query'],
  ['F18: a query on a public path', { target: '/v1/health?x=1', authorization: null }, [400], 'query'],
  ['F19, INV-70: Expect: 100-continue', withHeader('Expect: 100-continue'), [417], 'expectation'],
  ['F19, INV-70: Expect: banana', withHeader('Expect: banana'), [417], 'expectation'],
];

describe('INV-76, INV-77: refused, with a fixed error, without the owner being asked, and closed:', () => {
  it.each(rows)('%s', async (_title, parts, statuses, code) => {
    const answer = await exchange(server.port, request(server.port, parts));
    expect(server.calls).toEqual([]);
    expect(answer.statuses).toHaveLength(1);
    expect(statuses).toContain(answer.statuses[0]);
    expect(answer.isClosed).toBe(true);
    expectRefusalShape(answer.text, code);
    expect(server.refusals).toHaveLength(1);
  });

  it.each([
    [
      'F06, INV-64: an absolute target to this server',
      (port: number) => request(port, { target: `http://127.0.0.1:${port}/v1/secrets` }),
      400,
    ],
    ['F11, INV-70: the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['F11, INV-70: the hello of TLS', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    [
      'F13: a chunk extension of 1 MB',
      (port: number) =>
        request(port, {
          headers: ['Transfer-Encoding: chunked'],
          body: `1;${long(1_000_000)}\r\nx\r\n0\r\n\r\n`,
        }),
      400,
    ],
    [
      'F13: a bad chunk size',
      (port: number) => request(port, { headers: ['Transfer-Encoding: chunked'], body: 'zz\r\n' }),
      400,
    ],
    ['F14: bare LF between headers', (port: number) => request(port).replaceAll('\r\n', '\n'), 400],
    ['F14: bare LF after one header', (port: number) => request(port, withHeader('X-A: 1\nX-B: 2')), 400],
    ['F14: CR alone as line end', (port: number) => request(port).replaceAll('\r\n', '\r'), 400],
    ['F03, INV-64: HTTP/0.9 in one line and an empty one', () => 'GET /v1/secrets HTTP/0.9\r\n\r\n', 400],
    ['F03, INV-64: no version', () => 'GET /v1/secrets\r\n\r\n', 400],
    ['garbage', () => '\0\0\0\0', 400],
  ])('%s', async (_title, bytesFor, status) => {
    const answer = await exchange(server.port, bytesFor(server.port));
    expect(server.calls).toEqual([]);
    expect(answer.statuses).toEqual([status]);
    expect(answer.isClosed).toBe(true);
    expectRefusalShape(answer.text);
  });
});

/** INV-76, INV-77: every refusal carries the same headers, a fixed body, and nothing of the request. */
function expectRefusalShape(text: string, code?: string): void {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const headers = head.toLowerCase();
  expect(headers).toContain('cache-control: no-store');
  expect(headers).toContain('x-content-type-options: nosniff');
  expect(headers).toContain('content-type: application/json');
  expect(headers).toContain('connection: close');
  expect(headers).not.toMatch(/^(server|x-powered-by|access-control-.*):/m);
  if (headers.startsWith('http/1.1 401')) expect(head).toContain('WWW-Authenticate: Bearer');
  if (headers.startsWith('http/1.1 405')) expect(head).toContain('Allow: GET, HEAD');
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  expect(Object.keys(error)).toEqual(['code', 'message']);
  expect(error.message).toMatch(/^[A-Z][^.]*(?:1\.1)?[^.]*$/);
  expect(text).not.toContain('evil');
  expect(text).not.toContain(token);
  if (code !== undefined) expect(error.code).toBe(code);
}

describe('let through, once, as it is:', () => {
  it.each([
    ['a plain request', {}],
    ['HTTP/1.0 with Host', { version: 'HTTP/1.0' }],
    ['64 headers', withHeader(...Array.from({ length: 62 }, (_, n) => `X-${n}: v`))],
    ['Content-Length: 0', withHeader('Content-Length: 0')],
    ['Sec-Fetch-Site: none', withHeader('Sec-Fetch-Site: none')],
    [
      'F20: Range, If-None-Match and Accept',
      withHeader('Range: bytes=0-1', 'If-None-Match: "x"', 'Accept: text/html'),
    ],
    ['Connection: keep-alive', withHeader('Connection: keep-alive')],
    [
      'headers in other letters',
      {
        host: null,
        authorization: null,
        headers: ['HOST: 127.0.0.1:PORT', `AUTHORIZATION: Bearer ${token}`],
      },
    ],
    ['a trailing slash, which is the owner to judge', { target: '/v1/secrets/' }],
    ['names of prototypes', { target: '/v1/secrets/__proto__' }],
    ['dots that are not segments', { target: '/v1/...a/.b/c..' }],
    ['every plain character', { target: "/a-zA-Z0-9._~!$&'()*+,=:@-" }],
    ['the root', { target: '/' }],
    ['a URL of 4,096 bytes', { target: `/${long(4_095)}` }],
  ] as ReadonlyArray<readonly [string, RequestParts]>)('%s', async (_title, parts) => {
    const answer = await exchange(server.port, request(server.port, parts), { quietMs: 50 });
    expect(answer.statuses).toEqual([200]);
    expect(server.calls.map((call) => call.path)).toEqual([parts.target ?? '/v1/secrets']);
    expect(server.calls[0]).toMatchObject({ method: 'GET', principal: 'bearer', query: undefined });
    expect(answer.text).toContain('Cache-Control: no-store');
    expect(answer.text).toContain('X-Content-Type-Options: nosniff');
    expect(answer.text).not.toMatch(/^(server|x-powered-by|access-control-.*):/im);
  });

  it('HEAD, with the length of the body and without it', async () => {
    const answer = await exchange(server.port, request(server.port, { method: 'HEAD' }), { quietMs: 50 });
    expect(answer.text).toContain(`Content-Length: ${'you asked for /v1/secrets'.length}`);
    expect(answer.text.endsWith('\r\n\r\n')).toBe(true);
  });

  it.each([
    ['without a token', {}],
    ['with the token', { authorization: `Bearer ${token}` }],
    ['with a wrong token', { authorization: 'Bearer nonsense' }],
  ] as ReadonlyArray<readonly [string, RequestParts]>)('F24: a public path %s', async (_title, parts) => {
    const lines = request(server.port, { target: '/v1/health', authorization: null, ...parts });
    const answer = await exchange(server.port, lines, { quietMs: 50 });
    expect(answer.text.replace(/^Date: .*$/m, '')).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*you asked for \/v1\/health$/,
    );
    expect(server.calls[0]?.principal).toBeUndefined();
  });

  it('gives the owner the headers by lower-case name, repeated ones joined', async () => {
    await exchange(server.port, request(server.port, withHeader('X-A: 1', 'x-a: 2', 'If-None-Match: "e"')), {
      quietMs: 50,
    });
    const headers = server.calls[0]?.headers;
    expect(headers?.get('x-a')).toBe('1, 2');
    expect(headers?.get('if-none-match')).toBe('"e"');
    expect(headers?.get('__proto__')).toBeUndefined();
  });
});

describe('the token', () => {
  it('H06, INV-68: two are accepted while one takes over from the other, and asked for at every request', async () => {
    let accepted = [Buffer.from('first-token')];
    const rotating = await serverWith({ token: () => accepted });
    const statusWith = async (name: string): Promise<number | undefined> =>
      (
        await exchange(rotating.port, request(rotating.port, { authorization: `Bearer ${name}` }), {
          quietMs: 50,
        })
      ).statuses[0];
    expect([await statusWith('first-token'), await statusWith('other-token')]).toEqual([200, 401]);
    accepted = [Buffer.from('first-token'), Buffer.from('a-second-token')];
    expect([await statusWith('first-token'), await statusWith('a-second-token')]).toEqual([200, 200]);
    accepted = [Buffer.from('a-second-token')];
    expect([await statusWith('first-token'), await statusWith('a-second-token')]).toEqual([401, 200]);
  });

  it.each([
    ['no tokens', []],
    ['an empty token', [new Uint8Array(0)]],
  ])('with %s nothing is accepted', async (_title, tokens) => {
    const closed = await serverWith({ token: () => tokens });
    for (const authorization of ['Bearer ', 'Bearer x', null]) {
      expect((await exchange(closed.port, request(closed.port, { authorization }))).statuses).toEqual([401]);
    }
    expect(closed.calls).toEqual([]);
  });

  it('INV-78: a thousand wrong ones do not lock the right one out', async () => {
    const bad = request(server.port, { authorization: 'Bearer wrong' });
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 50 }, () => exchange(server.port, bad)));
    }
    expect((await exchange(server.port, request(server.port), { quietMs: 50 })).statuses).toEqual([200]);
    expect(server.calls).toHaveLength(1);
    expect(server.refusals).toHaveLength(1_000);
  });
});
