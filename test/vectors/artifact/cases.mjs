// The cases of the kit, one fault each. A case says what is made, what the opener insists on, and what it must say.
import { generateKeyPairSync } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  awsKey,
  base64,
  contextEntries,
  ecdsa,
  ed25519,
  encryptTo,
  encryptWithPassphrase,
  envelopeText,
  flipS,
  gcpKey,
  header,
  identityOf,
  identityToRecipient,
  padded,
  payloadText,
  preAuthenticationEncoding,
  secrets,
  sha256,
  signatureOf,
  wrap,
} from './make.mjs';

export const signer = ed25519('signer');
const newer = ecdsa('newer signer');
const stranger = ed25519('stranger');
const workload = identityOf('x25519', 'workload');
const hybridWorkload = identityOf('hybrid', 'workload');
export const recipients = {
  x25519: await identityToRecipient(workload),
  hybrid: await identityToRecipient(hybridWorkload),
};
export const keyFiles = { 'workload.txt': `${workload}\n`, 'workload-pq.txt': `${hybridWorkload}\n` };
const otherIdentity = identityOf('hybrid', 'another one-time key');
const otherRecipient = await identityToRecipient(otherIdentity);

/** What the opener insists on, unless a case says otherwise. */
export const given = {
  repository: header.repository,
  identity: header.identity,
  environment: header.environment,
  seal: recipients.x25519,
  ageKey: 'workload.txt',
  verify: [signer.text],
  at: '2026-01-15T00:00:00Z',
};
const onAws = { seal: awsKey, ageKey: undefined };
const onGcp = { seal: gcpKey, ageKey: undefined };
const signers = { verify: [signer.text, newer.text] };

const cases = [];
let group = '';

/** Adds a case. `make` gives the bytes, or a recipe for what is too large to keep. */
function add(title, verdict, make, more = {}) {
  cases.push({ rows: group.split(' '), title, verdict, make, ...more });
}

// How a good artifact is made, with a way to change each step.

async function sealed(options = {}) {
  const { head = header, seal = recipients.x25519, inner = head, values = secrets } = options;
  const plaintext = options.plaintext ?? padded(options.json ?? innerJson(inner, values));
  const isKms = seal === awsKey || seal === gcpKey;
  const oneTime = identityOf('hybrid', `one-time key`);
  const to = options.to ?? [isKms ? await identityToRecipient(oneTime) : seal];
  const file = await (options.encrypt ?? encryptTo)(to, plaintext);
  const ciphertext = options.damage ? options.damage(file) : file;
  const entries = contextEntries(options.context ?? head, options.digestOf ?? ciphertext);
  const wrapped = isKms ? wrap(seal, options.wrapped ?? oneTime, entries, options.label ?? 'x') : undefined;
  return {
    seal: { key: seal, ...(wrapped && { wrappedIdentity: base64(wrapped) }) },
    ciphertext: base64(ciphertext),
  };
}

const innerJson = (head, values) => JSON.stringify({ header: head, secrets: values });

/** A payload of any text under a good signature. */
function signed(payload, by = [signer]) {
  return Buffer.from(
    envelopeText(
      Buffer.from(payload),
      by.map((key) => signatureOf(key, payload)),
    ),
  );
}

/** A whole artifact; `edit` changes the payload's text before it is signed. */
async function artifact(options = {}) {
  const { head = header, by = [signer], edit = (text) => text } = options;
  return signed(edit(payloadText(head, await sealed(options))), by);
}

/** The envelope of a good artifact as an object, changed. */
async function envelope(change, options) {
  const good = JSON.parse((await artifact(options)).toString());
  return Buffer.from(JSON.stringify(change(good) ?? good));
}

const revoked = (reason = { reason: 'The laptop was stolen' }, head = header) =>
  payloadText(head, { revoked: reason });

/** Changes one field of the header, outside and inside alike. */
const headed = (changes) => artifact({ head: { ...header, ...changes } });
/** Puts raw JSON in the place of a field's value in the payload's text. */
const raw = (field, json) => artifact({ edit: (text) => replaceValue(text, field, json) });

function replaceValue(text, field, json) {
  const value = JSON.stringify(header[field]);
  const changed = text.replace(`"${field}":${value}`, json === undefined ? '' : `"${field}":${json}`);
  if (changed === text) throw new Error(`No ${field} in the payload`);
  return changed.replace('{,', '{').replace(',,', ',');
}

const flip = (bytes, at, bit = 1) => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] ^= bit;
  return copy;
};

// Good ones.

const oddValues = {
  CRLF: 'a\r\nb\n',
  UNICODE: 'ä\u2028\u{1f511}',
  SPACES: '  x  ',
  YAML: '2024-01-01',
  QUOTES: '"\\\'',
  CONTROL: '\u0001\u001b[31m',
};

group = 'OK';
const ok = (title, make, more = {}) => add(title, 'ok', make, { secrets, ...more });
ok('sealed to an age key', () => artifact());
ok('sealed to a hybrid age key', () => artifact({ seal: recipients.hybrid }), {
  given: { seal: recipients.hybrid, ageKey: 'workload-pq.txt' },
});
ok('sealed by AWS KMS', () => artifact({ seal: awsKey }), { given: onAws });
ok('sealed by Google Cloud KMS', () => artifact({ seal: gcpKey }), { given: onGcp });
ok('signed with ECDSA P-256', () => artifact({ by: [newer] }), { given: { verify: [newer.text] } });
ok('signed by two keys', () => artifact({ by: [signer, newer] }), { given: signers });
ok('signed by a stranger too', () => artifact({ by: [stranger, signer] }));
ok('without a commit', () => {
  const { commit: _, ...head } = header;
  return artifact({ head });
});
ok('values byte for byte', () => artifact({ values: oddValues }), { secrets: oddValues });
ok('a name as it comes with a prefix', () => artifact({ values: { a__b__c: '1' } }), {
  secrets: { a__b__c: '1' },
});
ok('a plaintext of exactly 4,096 bytes', () => artifact({ values: filled() }), { secrets: filled() });
ok('a plaintext of 4,097 bytes, padded to 8,192', () => artifact({ values: filled(1) }), {
  secrets: filled(1),
});
ok(
  'E20: other white space around the signed bytes',
  () => envelope((good) => good).then((bytes) => Buffer.from(JSON.stringify(JSON.parse(bytes), null, 2))),
  {
    rows: ['OK', 'E20'],
  },
);
ok(
  'E20: the fields of the envelope in another order',
  () =>
    envelope(({ payloadType: type, payload, signatures }) => ({ signatures, payload, payloadType: type })),
  { rows: ['OK', 'E20'] },
);
ok(
  'E20: white space within the signed bytes',
  () => artifact({ edit: (text) => text.replaceAll('":', '": ') }),
  {
    rows: ['OK', 'E20'],
  },
);
ok('the inner header in another order', () => {
  const { version, ...rest } = header;
  return artifact({ inner: { ...rest, version } });
});
ok('INV-49: a new epoch starts a new floor', () => artifact({ by: [newer] }), {
  given: { ...signers, floor: { epoch: 0, revision: header.revision + 5, payloadDigest: '0'.repeat(64) } },
});
ok('INV-46: the very artifact that was accepted before', () => artifact(), { floorIsThis: true });
ok('a revision at the minimum', () => artifact(), { given: { minRevision: header.revision } });
ok('INV-52: packed five minutes ahead', () => headed({ packedAt: '2026-01-15T00:05:00Z' }));
ok('INV-49: a revision one day ahead', () => headed({ revision: Date.parse(given.at) + 86_400_000 }));
ok('INV-52: one second before it expires', () => artifact(), { given: { at: '2026-01-30T23:59:59Z' } });
ok('a retired key before the one that signed', () => artifact({ by: [newer] }), {
  given: { verify: [`retired:${signer.keyId}`, newer.text] },
});
ok(
  'an ECDSA signature in its other valid form',
  () =>
    envelope(
      (good) => {
        const [signature] = good.signatures;
        signature.sig = base64(flipS(Buffer.from(signature.sig, 'base64')));
      },
      { by: [newer] },
    ),
  { given: { verify: [newer.text] } },
);
ok('unsigned, where that is allowed', () => artifact({ by: [] }), {
  given: { verify: [], allowUnsigned: true },
});

/** Values that make the plaintext 4,096 bytes long before padding, and some more. */
function filled(more = 0) {
  const length = Buffer.byteLength(innerJson(header, { K: '' }));
  return { K: 'x'.repeat(4096 - length + more) };
}

// The outer shape.

group = 'E01';
const bytes = (text) => async () => Buffer.from(text);
add('empty', 'format', bytes(''));
for (const text of ['{}', '[]', 'null', '"x"', '{', '<!doctype html><title>404</title>', '0', 'true'])
  add(`the text ${text.slice(0, 15)}`, 'format', bytes(text));
for (let part = 1; part < 16; part += 1)
  add(`cut off after ${part}/16`, 'format', async () => {
    const good = await artifact();
    return good.subarray(0, Math.floor((good.length * part) / 16));
  });

group = 'E02';
add('one byte more than 1 MiB', 'too_large', async () => ({
  file: await artifact(),
  padTo: 1024 * 1024 + 1,
}));
add('100 MB', 'too_large', async () => ({ size: 100_000_000 }));
add('lists nested 100,000 deep', 'too_large', async () => ({ repeat: ['', '[', 100_000, ']'] }));
add('objects nested 100,000 deep', 'too_large', async () => ({ repeat: ['', '{"a":', 100_000, '1'] }));
add('a million values', 'too_large', async () => ({ repeat: ['[', '1,', 1_000_000, '1]'] }));
add('a hundred thousand values below 1 MiB', 'too_large', async () => ({
  repeat: ['[', '1,', 100_000, '1]'],
}));
add('a payload nested too deeply', 'too_large', async () => signed(`${'{"a":'.repeat(9)}1${'}'.repeat(9)}`));
add('a payload of too many values', 'too_large', async () => signed(`{"a":[${'1,'.repeat(99)}1]}`));

group = 'E03 INV-38';
const around = (change) => async () => Buffer.from(change((await artifact()).toString()));
const within = (change) => () => artifact({ edit: change });
const notJson = [
  ['text after the object', (text) => `${text}x`],
  ['a second object', (text) => `${text}{}`],
  ['a byte order mark', (text) => `\ufeff${text}`],
  ['a comment', (text) => text.replace('{', '{/* x */')],
  ['a line comment', (text) => text.replace('{', '{// x\n')],
  ['a comma at the end', (text) => text.replace(/\}$/, ',}')],
  ['single quotes', (text) => text.replace(/^\{"([a-zA-Z]+)"/, "{'$1'")],
  ['a NUL after the object', (text) => `${text}\0`],
  ['a raw line break in a string', (text) => text.replace('":"', '":"\n')],
  ['half of a surrogate pair', (text) => text.replace('":"', '":"\\ud800')],
];
for (const [title, change] of notJson) {
  add(`${title}, in the envelope`, 'format', around(change));
  add(`${title}, in the payload`, 'format', within(change));
}
add('UTF-16', 'format', async () => Buffer.from((await artifact()).toString(), 'utf16le'));
add('bytes that are not UTF-8', 'format', async () =>
  Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')]),
);
for (const value of ['NaN', 'Infinity', '-Infinity', '1e999', '0x10', '01', '+1', '.5', '1.', '-'])
  add(`the number ${value}`, 'format', () => raw('revision', value));
add(
  'D: payload twice in the envelope',
  'format',
  around((text) => text.replace('"payload":', '"payload":"AAAA","payload":')),
);
add(
  'identity twice in the payload',
  'format',
  within((text) => text.replace('"identity"', '"identity":"web","identity"')),
);
add(
  'identity twice, once escaped',
  'format',
  within((text) => text.replace('"identity"', '"\\u0069dentity":"web","identity"')),
);
add(
  'key twice in the seal',
  'format',
  within((text) => text.replace('"seal":{', `"seal":{"key":"${awsKey}",`)),
);
add(
  'seal twice',
  'format',
  within((text) => text.replace('"seal":', '"seal":{"key":"x"},"seal":')),
);
add('identity twice in the inner header', 'bad_content', () =>
  artifact({ json: innerJson(header, secrets).replace('"identity"', '"identity":"web","identity"') }),
);

group = 'E04';
for (const version of ['0', '2', '"1"', '1.5', '-1', 'null', 'true', '[1]'])
  add(`the version ${version}`, 'format', () => raw('version', version));
add('no version', 'format', () => raw('version', undefined));
add('another type of payload', 'format', () =>
  envelope((good) => ({ ...good, payloadType: 'application/vnd.clef.artifact.v2+json' })),
);
add('no type of payload', 'format', () => envelope(({ payload, signatures }) => ({ payload, signatures })));

group = 'E05';
add('an unknown field in the envelope', 'format', () => envelope((good) => ({ ...good, x: 1 })));
add(
  'an unknown field in the payload',
  'format',
  within((text) => text.replace('{', '{"x":1,')),
);
add(
  'an unknown field in the seal',
  'format',
  within((text) => text.replace('"seal":{', '"seal":{"x":1,')),
);
add(
  'an unknown field named __proto__',
  'format',
  within((text) => text.replace('{', '{"__proto__":{},')),
);
add('an unknown field beside the secrets', 'bad_content', () =>
  artifact({ json: JSON.stringify({ header, secrets, x: 1 }) }),
);
add('an unknown field in the inner header', 'header_mismatch', () =>
  artifact({ inner: { ...header, x: 1 } }),
);
add('no payload', 'format', () => envelope(({ payload: _, ...rest }) => rest));
add('an empty payload', 'format', () => envelope((good) => ({ ...good, payload: '' })));
add('a payload that is not base64', 'format', () => envelope((good) => ({ ...good, payload: '!!!!' })));
add('a payload in base64url', 'format', () =>
  envelope((good) => ({
    ...good,
    payload: good.payload.replaceAll('+', '-').replaceAll('/', '_').replace(/^.{4}/, '-_-_'),
  })),
);
add('a payload that is an object', 'format', () => envelope((good) => ({ ...good, payload: {} })));
add(
  'no ciphertext',
  'format',
  within((text) => text.replace(/,"ciphertext":"[^"]*"/, '')),
);
add(
  'an empty ciphertext',
  'format',
  within((text) => text.replace(/"ciphertext":"[^"]*"/, '"ciphertext":""')),
);

group = 'E06';
for (const name of ['repository', 'identity', 'environment']) {
  const other = { repository: header.repository.replace(/6$/, '7'), identity: 'web', environment: 'staging' };
  add(`another ${name}`, 'binding', () => headed({ [name]: other[name] }));
  add(`an empty ${name}`, 'format', () => headed({ [name]: '' }));
  add(`no ${name}`, 'format', () => raw(name, undefined));
  add(`a number as ${name}`, 'format', () => headed({ [name]: 7 }));
  add(`${name}: null`, 'format', () => headed({ [name]: null }));
  add(`${name}: __proto__`, 'binding', () => headed({ [name]: '__proto__' }));
  add(`1 KB of ${name}`, 'format', () => headed({ [name]: 'a'.repeat(1024) }));
  add(`${name} with a blank after it`, 'binding', () => headed({ [name]: `${header[name]} ` }));
  add(`${name} in upper case`, 'binding', () => headed({ [name]: header[name].toUpperCase() }));
  add(`${name} with a combining mark`, 'binding', () => headed({ [name]: `${header[name]}\u0308` }));
  add(`${name} with a letter that looks the same`, 'binding', () =>
    headed({ [name]: header[name].replace(/[aei]/, (letter) => ({ a: 'а', e: 'е', i: 'і' })[letter]) }),
  );
}

group = 'E06 INV-50';
const three = [
  ['api-gateway', 'production'],
  ['web', 'production'],
  ['api-gateway', 'staging'],
];
for (const [identity, environment] of three)
  for (const [wantedIdentity, wantedEnvironment] of three) {
    const isSame = identity === wantedIdentity && environment === wantedEnvironment;
    add(
      `the artifact of ${identity}/${environment} before ${wantedIdentity}/${wantedEnvironment}`,
      isSame ? 'ok' : 'binding',
      () => headed({ identity, environment }),
      {
        given: { identity: wantedIdentity, environment: wantedEnvironment },
        ...(isSame && { secrets }),
      },
    );
  }

group = 'E07 INV-47';
const floor = { epoch: 0, revision: header.revision, payloadDigest: '0'.repeat(64) };
add('a lower revision than was accepted', 'rollback', () => headed({ revision: header.revision - 1 }), {
  given: { floor },
});
add('INV-46: the same revision, other bytes', 'equivocation', () => artifact(), {
  given: { floor },
  rows: ['E07', 'INV-46'],
});
add('INV-48: below the least revision', 'rollback', () => artifact(), {
  given: { minRevision: header.revision + 1 },
  rows: ['E07', 'INV-48'],
});
add(
  'INV-49: two days ahead',
  'fast_forward',
  () => headed({ revision: Date.parse(given.at) + 2 * 86_400_000 }),
  {
    rows: ['E07', 'INV-49'],
  },
);
add(
  'INV-49: a millisecond more than a day ahead',
  'fast_forward',
  () => headed({ revision: Date.parse(given.at) + 86_400_001 }),
  {
    rows: ['E07', 'INV-49'],
  },
);
add('INV-49: the highest safe integer', 'fast_forward', () => headed({ revision: Number.MAX_SAFE_INTEGER }), {
  rows: ['E07', 'INV-49'],
});
for (const revision of ['0', '-1', '1.5', '"7"', '9007199254740992', '1e21', 'null', '[]', '1767225600000.5'])
  add(`the revision ${revision}`, 'format', () => raw('revision', revision));
add('no revision', 'format', () => raw('revision', undefined));

group = 'E08 INV-52';
const badTimes = [
  '',
  'never',
  '2026-01-31T00:00:00+05:00',
  '2026-01-31T00:00:00-00:00',
  '2026-01-31T00:00:00+00:00',
  '2026-01-31t00:00:00Z',
  '2026-01-31T00:00:00z',
  '2026-01-31T23:59:60Z',
  '2026-01-31T00:00Z',
  '2026-01-31T00:00:00',
  '2026-01-31',
  '2026-01-31 00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-00-10T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-02-29T00:00:00Z',
  '2026-01-00T00:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T00:60:00Z',
  '+002026-01-31T00:00:00Z',
  '26-01-31T00:00:00Z',
  '2026-01-31T00:00:00,5Z',
  '2026-01-31T00:00:00.Z',
  ' 2026-01-31T00:00:00Z',
  '2026-01-31T00:00:00Z ',
  '2026-01-31T00:00:00Z\n',
  '20260131T000000Z',
  '2026-W05-6T00:00:00Z',
  '２０２６-01-31T00:00:00Z',
  'Sat, 31 Jan 2026 00:00:00 GMT',
];
for (const time of badTimes)
  add(`expiresAt ${JSON.stringify(time)}`, 'format', () => headed({ expiresAt: time }));
for (const time of badTimes.slice(0, 6))
  add(`packedAt ${JSON.stringify(time)}`, 'format', () => headed({ packedAt: time }));
for (const name of ['packedAt', 'expiresAt']) {
  add(`${name} in milliseconds`, 'format', () => headed({ [name]: Date.parse(header[name]) }));
  add(`${name}: null`, 'format', () => headed({ [name]: null }));
  add(`no ${name}`, 'format', () => raw(name, undefined));
}
add('it expires before it was packed', 'format', () => headed({ expiresAt: '2025-12-31T23:59:59Z' }));
add('it expires when it was packed', 'format', () => headed({ expiresAt: header.packedAt }));
add('INV-51: expired', 'expired', () => headed({ expiresAt: '2026-01-10T00:00:00Z' }));
add('INV-51: expired this very moment', 'expired', () => headed({ expiresAt: given.at }));
add('packed in the future', 'not_yet_valid', () => headed({ packedAt: '2026-01-16T00:00:00Z' }));
add('packed five minutes and a second ahead', 'not_yet_valid', () =>
  headed({ packedAt: '2026-01-15T00:05:01Z' }),
);

// Signatures.

group = 'E09 INV-53';
const withSignatures = (change, options) =>
  envelope(
    (good) => ({ ...good, signatures: change(good.signatures, Buffer.from(good.payload, 'base64')) }),
    options,
  );
const withSig = (change, options) =>
  withSignatures(
    ([first, ...rest], payload) => [{ ...first, sig: change(first.sig, payload) }, ...rest],
    options,
  );
const rawSig = (change) => (sig, payload) => base64(change(Buffer.from(sig, 'base64'), payload));
add('no list of signatures', 'format', () => envelope(({ signatures: _, ...rest }) => rest));
add('signatures: null', 'format', () => withSignatures(() => null));
add('signatures as an object', 'format', () => withSignatures(([first]) => first));
add('no signature', 'unsigned', () => artifact({ by: [] }));
add('the signature of another artifact', 'signature', async () => {
  const other = JSON.parse((await headed({ revision: 1 })).toString());
  return withSignatures(() => other.signatures);
});
add('63 bytes', 'signature', () => withSig(rawSig((sig) => sig.subarray(0, 63))));
add('65 bytes', 'signature', () => withSig(rawSig((sig) => Buffer.concat([sig, Buffer.of(0)]))));
add('no bytes', 'signature', () => withSig(() => ''));
add('64 zeros', 'signature', () => withSig(() => base64(Buffer.alloc(64))));
add('base64 with bits to spare', 'signature', () =>
  withSig((sig) => sig.replace(/.==$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}==`)),
);
add('base64 without its padding', 'signature', () => withSig((sig) => sig.replace(/=+$/, '')));
add('base64 with a line break', 'signature', () => withSig((sig) => `${sig}\n`));
add('base64url', 'signature', () => withSig((sig) => `-_${sig.slice(2)}`));
add('hexadecimal', 'signature', () => withSig((sig) => Buffer.from(sig, 'base64').toString('hex')));
add('a number', 'signature', () => withSig(() => 7));
add(
  'the right bytes under another key ID',
  'signature',
  () => withSignatures(([first]) => [{ ...first, keyid: newer.keyId }]),
  { given: signers },
);
add('the right bytes under a key ID in upper case', 'signature', () =>
  withSignatures(([first]) => [{ ...first, keyid: first.keyid.toUpperCase() }]),
);
add('no key ID', 'signature', () => withSignatures(([{ sig }]) => [{ sig }]));
add('a short key ID', 'signature', () =>
  withSignatures(([first]) => [{ ...first, keyid: first.keyid.slice(0, 16) }]),
);
add('an unknown field beside the signature', 'signature', () =>
  withSignatures(([first]) => [{ ...first, cert: 'x' }]),
);
add('the same entry twice', 'signature', () => withSignatures(([first]) => [first, first]));
add('nine entries', 'signature', () =>
  withSignatures(([first]) => [
    first,
    ...Array.from({ length: 8 }, (_, index) => ({ ...first, keyid: sha256(`x${index}`).toString('hex') })),
  ]),
);
add('an entry that is text', 'signature', () => withSignatures(() => ['x']));
add('signed by a stranger', 'signature', () => artifact({ by: [stranger] }));
add('signed by a stranger, whose key comes with it', 'signature', () =>
  withSignatures(([first]) => [{ ...first, key: stranger.text }], { by: [stranger] }),
);
const signedOver = (message) => withSig((_, payload) => base64(signer.sign(message(payload))));
add('the payload signed without its encoding', 'signature', () => signedOver((payload) => payload));
add('the base64 of the payload signed', 'signature', () =>
  signedOver((payload) => preAuthenticationEncoding(Buffer.from(base64(payload)))),
);
add('another type signed', 'signature', () =>
  signedOver((payload) => preAuthenticationEncoding(payload, 'application/json')),
);
add('the digest of the payload signed', 'signature', () =>
  signedOver((payload) => sha256(preAuthenticationEncoding(payload))),
);
const asNewer = { by: [newer] };
const trustNewer = { given: { verify: [newer.text] } };
add(
  'ECDSA: not DER',
  'signature',
  () => withSig((_, payload) => base64(newer.signRaw(preAuthenticationEncoding(payload))), asNewer),
  trustNewer,
);
add(
  'ECDSA: a byte after the DER',
  'signature',
  () =>
    withSig(
      rawSig((sig) => Buffer.concat([sig, Buffer.of(0)])),
      asNewer,
    ),
  trustNewer,
);
add(
  'ECDSA: a length in two bytes',
  'signature',
  () =>
    withSig(
      rawSig((sig) => Buffer.concat([Buffer.of(0x30, 0x81), sig.subarray(1)])),
      asNewer,
    ),
  trustNewer,
);
add(
  'ECDSA: r and s are 0',
  'signature',
  () => withSig(() => base64(Buffer.from('3006020100020100', 'hex')), asNewer),
  trustNewer,
);
add(
  'ECDSA: r and s are 1',
  'signature',
  () => withSig(() => base64(Buffer.from('3006020101020101', 'hex')), asNewer),
  trustNewer,
);
add(
  'ECDSA: the digest hashed once more',
  'signature',
  () => withSig((_, payload) => base64(newer.sign(sha256(preAuthenticationEncoding(payload)))), asNewer),
  trustNewer,
);
add('Ed25519: s with the order of the group added', 'signature', () => withSig(rawSig(addOrder)));
add(
  'algorithm confusion: the Ed25519 signature under a P-256 key ID',
  'signature',
  () => withSignatures(([first]) => [{ ...first, keyid: newer.keyId }]),
  trustNewer,
);

function addOrder(sig) {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(sig.subarray(32)).reverse().toString('hex')}`) + order;
  const bytes_ = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse();
  return Buffer.concat([sig.subarray(0, 32), bytes_]);
}

group = 'E10 INV-37 INV-38';
const afterSigning = (change, options) =>
  envelope((good) => ({ ...good, payload: base64(change(Buffer.from(good.payload, 'base64'))) }), options);
for (const field of Object.keys(header)) {
  add(`${field} edited after signing`, 'signature', () =>
    afterSigning((payload) =>
      Buffer.from(
        payload
          .toString()
          .replace(
            JSON.stringify(header[field]),
            JSON.stringify(
              field === 'version'
                ? 2
                : typeof header[field] === 'number'
                  ? header[field] + 1
                  : `${header[field].slice(0, -1)}x`,
            ),
          ),
      ),
    ),
  );
}
for (let part = 0; part < 16; part += 1)
  add(
    `a bit of the payload flipped at ${part}/16`,
    'signature',
    () =>
      afterSigning((payload) => flip(payload, Math.floor((payload.length * part) / 16), 1 << (part % 8)), {
        seal: awsKey,
      }),
    { given: onAws },
  );
for (let part = 0; part < 8; part += 1)
  add(`a bit of the signature flipped at ${part}/8`, 'signature', () =>
    withSig(rawSig((sig) => flip(sig, part * 8, 1 << part))),
  );
add('a blank added to the payload after signing', 'signature', () =>
  afterSigning((payload) => Buffer.concat([payload, Buffer.from(' ')])),
);
add('the last byte of the payload cut off', 'signature', () =>
  afterSigning((payload) => payload.subarray(0, -1)),
);

group = 'E10 E14';
const unsigned = { given: { verify: [], allowUnsigned: true } };
const damaged = (damage) => () => artifact({ by: [], damage });
const headerEnd = (file) => file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1;
add(
  'unsigned: the tag flipped',
  'decrypt',
  damaged((file) => flip(file, -1)),
  unsigned,
);
add(
  'unsigned: the nonce flipped',
  'decrypt',
  damaged((file) => flip(file, headerEnd(file))),
  unsigned,
);
add(
  'unsigned: the encrypted bytes flipped',
  'decrypt',
  damaged((file) => flip(file, headerEnd(file) + 100)),
  unsigned,
);
add(
  'unsigned: the MAC of the age header flipped',
  'decrypt',
  damaged((file) => flip(file, headerEnd(file) - 4, 2)),
  unsigned,
);
add(
  'unsigned: the wrapped key flipped',
  'kms_denied',
  async () => {
    const parts = await sealed({ seal: awsKey });
    parts.seal.wrappedIdentity = base64(flip(Buffer.from(parts.seal.wrappedIdentity, 'base64'), 20));
    return signed(payloadText(header, parts), []);
  },
  { given: { ...onAws, ...unsigned.given } },
);
add('a tag of 4 bytes', 'decrypt', () => artifact({ damage: (file) => file.subarray(0, -12) }));
add('a stream without its end', 'decrypt', () => artifact({ damage: (file) => file.subarray(0, -300) }));
add('a stream without a byte', 'decrypt', () =>
  artifact({ damage: (file) => file.subarray(0, headerEnd(file) + 16) }),
);
add('text after the stream', 'decrypt', () =>
  artifact({ damage: (file) => Buffer.concat([file, Buffer.from('x')]) }),
);
add('an age file for somebody else', 'decrypt', async () =>
  artifact({ to: [await identityToRecipient(identityOf('x25519', 'somebody'))] }),
);

group = 'E14';
add('a passphrase', 'format', () =>
  artifact({ encrypt: (_, plaintext) => encryptWithPassphrase(plaintext) }),
);
add('two stanzas', 'format', async () =>
  artifact({ to: [recipients.x25519, await identityToRecipient(identityOf('x25519', 'somebody'))] }),
);
add('armor', 'format', () =>
  artifact({
    damage: (file) =>
      Buffer.from(
        `-----BEGIN AGE ENCRYPTED FILE-----\n${base64(file).replace(/(.{64})/g, '$1\n')}\n-----END AGE ENCRYPTED FILE-----\n`,
      ),
  }),
);
add('a hybrid stanza for an X25519 key', 'format', () => artifact({ to: [recipients.hybrid] }));
add(
  'an X25519 stanza for a one-time key',
  'format',
  () => artifact({ seal: awsKey, to: [recipients.x25519] }),
  { given: onAws },
);
add('another version of age', 'format', () =>
  artifact({ damage: (file) => Buffer.from(file.toString('latin1').replace('/v1', '/v2'), 'latin1') }),
);
add('an unknown stanza', 'format', () =>
  artifact({
    damage: (file) => Buffer.from(file.toString('latin1').replace('-> X25519', '-> X25518'), 'latin1'),
  }),
);
add('no age file', 'format', () => artifact({ damage: () => Buffer.from('{}') }));
add('a stanza without a body', 'decrypt', () =>
  artifact({
    damage: (file) => {
      const [version, first, , ...rest] = file.toString('latin1').split('\n');
      return Buffer.from([version, first, '', ...rest].join('\n'), 'latin1');
    },
  }),
);

group = 'E11 E19';
add('signed with the key of another identity', 'signature', () =>
  artifact({ by: [ed25519('signer of web')] }),
);
add('a key that is retired', 'signature', () => artifact(), {
  given: { verify: [`retired:${signer.keyId}`, newer.text] },
});
add(
  'the previous epoch, after an artifact of the new one',
  'rollback',
  () => headed({ revision: header.revision + 9 }),
  {
    given: { ...signers, floor: { ...floor, epoch: 1, revision: 1 } },
  },
);
add(
  'both epochs signed, the signature of the newer one dropped',
  'rollback',
  () => withSignatures(([first]) => [first], { by: [signer, newer] }),
  {
    given: { ...signers, floor: { ...floor, epoch: 1, revision: 1 } },
  },
);

// Which key.

group = 'E12 INV-55';
const keyOf = (key) => () =>
  artifact({
    seal: awsKey,
    edit: (text) => text.replace(`"key":"${awsKey}"`, `"key":${JSON.stringify(key)}`),
  });
const otherId = awsKey.replace('key/0', 'key/1');
for (const [title, key, verdict] of [
  ['another key of the account', otherId, 'key_not_pinned'],
  ['another region', awsKey.replace('eu-west-1', 'us-east-1'), 'key_not_pinned'],
  ['another account', awsKey.replace('111122223333', '999922223333'), 'key_not_pinned'],
  ['another partition', awsKey.replace('arn:aws:', 'arn:aws-cn:'), 'key_not_pinned'],
  ['a key of Google Cloud', gcpKey, 'key_not_pinned'],
  ['a key of Azure', `azurekms://vault-x.vault.azure.net/key/${'0'.repeat(32)}`, 'key_not_pinned'],
  ['a key of Vault', 'hashivault://transit/key', 'key_not_pinned'],
  ['an alias', awsKey.replace(/key\/.*/, 'alias/clef'), 'format'],
  ['an endpoint in the key', awsKey.replace(':///', '://kms.example.com/'), 'format'],
  ['a version of a Google key', `${gcpKey}/cryptoKeyVersions/1`, 'format'],
  ['a PGP key', `pgp:${'0A'.repeat(20)}`, 'format'],
  ['a verifying key', signer.text, 'format'],
  ['an empty key', '', 'format'],
  ['a number', 7, 'format'],
  ['a blank after the key', `${awsKey} `, 'format'],
])
  add(title, verdict, keyOf(key), { given: onAws });
const sealEdit = (change) => () =>
  artifact({ seal: awsKey, edit: (text) => text.replace(/"seal":\{[^}]*\}/, change) });
add(
  'a seal that is null',
  'format',
  sealEdit(() => '"seal":null'),
  { given: onAws },
);
add(
  'a seal that is a list',
  'format',
  sealEdit((seal) => seal.replace(':{', ':[{').replace(/\}$/, '}]')),
  { given: onAws },
);
add(
  'an endpoint beside the key',
  'format',
  sealEdit((seal) => seal.replace('{', '{"endpoint":"http://127.0.0.1:1",')),
  { given: onAws },
);
add(
  'no wrapped key',
  'format',
  sealEdit((seal) => seal.replace(/,"wrappedIdentity":"[^"]*"/, '')),
  { given: onAws },
);
add(
  'an empty wrapped key',
  'format',
  sealEdit((seal) => seal.replace(/"wrappedIdentity":"[^"]*"/, '"wrappedIdentity":""')),
  { given: onAws },
);
add(
  '10 KB of wrapped key',
  'format',
  sealEdit((seal) =>
    seal.replace(/"wrappedIdentity":"[^"]*"/, `"wrappedIdentity":"${base64(Buffer.alloc(10_240))}"`),
  ),
  { given: onAws },
);
add(
  'a wrapped key beside an age key',
  'format',
  within((text) => text.replace('"seal":{', '"seal":{"wrappedIdentity":"AAAA",')),
);
add('an age key where a KMS key is insisted on', 'key_not_pinned', () => artifact(), { given: onAws });
add('a KMS key where an age key is insisted on', 'key_not_pinned', () => artifact({ seal: awsKey }));
add('another age key', 'key_not_pinned', () => artifact(), {
  given: { seal: recipients.hybrid, ageKey: 'workload-pq.txt' },
});

group = 'E13';
const unwrapsTo = (wrapped) => () => artifact({ seal: awsKey, wrapped });
const oneTime = identityOf('hybrid', 'one-time key');
for (const [title, wrapped] of [
  ['an X25519 key', identityOf('x25519', 'one-time key')],
  ['a key that lacks its end', oneTime.slice(0, -6)],
  ['a key in lower case', oneTime.toLowerCase()],
  ['a key with a line break', `${oneTime}\n`],
  ['a wrong checksum', `${oneTime.slice(0, -1)}${oneTime.endsWith('Q') ? 'P' : 'Q'}`],
  ['the public half', await identityToRecipient(oneTime)],
  ['32 bytes', sha256('x').toString('latin1')],
  ['JSON', '{}'],
  ['the key of another artifact', otherIdentity],
])
  add(`the KMS gives ${title}`, 'kms_mismatch', unwrapsTo(wrapped), { given: onAws });
add(
  'encrypted to another one-time key',
  'kms_mismatch',
  () => artifact({ seal: awsKey, to: [otherRecipient] }),
  { given: onAws },
);

group = 'INV-36';
for (const [title, changes] of [
  ['repository', { repository: header.repository.replace(/6$/, '7') }],
  ['identity', { identity: 'web' }],
  ['environment', { environment: 'staging' }],
  ['revision', { revision: header.revision - 1 }],
]) {
  add(
    `the wrapped key of another ${title}`,
    'kms_denied',
    () => artifact({ seal: awsKey, context: { ...header, ...changes } }),
    { given: onAws },
  );
  add(
    `the wrapped key of another ${title}, on Google Cloud`,
    'kms_denied',
    () => artifact({ seal: gcpKey, context: { ...header, ...changes } }),
    { given: onGcp },
  );
}
add(
  'the wrapped key of another ciphertext',
  'kms_denied',
  () => artifact({ seal: awsKey, digestOf: Buffer.from('x') }),
  { given: onAws },
);
add(
  'the wrapped key of another ciphertext, on Google Cloud',
  'kms_denied',
  () => artifact({ seal: gcpKey, digestOf: Buffer.from('x') }),
  { given: onGcp },
);
add(
  'a blob that no KMS made',
  'kms_denied',
  sealEdit((seal) => seal.replace(/"wrappedIdentity":"[^"]*"/, '"wrappedIdentity":"AAAA"')),
  { given: onAws },
);

// What is inside.

group = 'E15';
const content = (json) => () => artifact({ json });
const inner = (text) => `{"header":${JSON.stringify(header)},"secrets":${text}}`;
for (const [title, json] of [
  ['no JSON', 'DB_URL=x'],
  ['a list', '[]'],
  ['a string', '"x"'],
  ['null', 'null'],
  ['no secrets', JSON.stringify({ header })],
  ['no header', JSON.stringify({ secrets })],
  ['a header that is text', JSON.stringify({ header: 'x', secrets })],
  ['secrets as a list', inner('["x"]')],
  ['secrets that are null', inner('null')],
  ['not one secret', inner('{}')],
  ['a secret that is nested', inner('{"database":{"URL":"x"}}')],
  ['a number', inner('{"A":1}')],
  ['a switch', inner('{"A":true}')],
  ['null as a value', inner('{"A":null}')],
  ['a list as a value', inner('{"A":["x"]}')],
  ['a secret twice', inner('{"A":"1","A":"2"}')],
  ['a secret twice, once escaped', inner('{"A":"1","\\u0041":"2"}')],
  ['an empty value', inner('{"A":""}')],
  ['a NUL in a value', inner('{"A":"x\\u0000y"}')],
  ['half of a surrogate pair in a value', inner('{"A":"\\ud800"}')],
  ['an empty name', inner('{"":"x"}')],
  ['the name A=B', inner('{"A=B":"x"}')],
  ['the name a:b', inner('{"a:b":"x"}')],
  ['the name A-B', inner('{"A-B":"x"}')],
  ['the name 1A', inner('{"1A":"x"}')],
  ['a name with a blank', inner('{"A ":"x"}')],
  ['a name with a line break', inner('{"A\\n":"x"}')],
  ['a name that is not ASCII', inner('{"Ä":"x"}')],
  ['a name of 194 characters', inner(`{"${'A'.repeat(194)}":"x"}`)],
  ['text after the object', `${inner('{"A":"1"}')}x`],
  ['a comment', inner('{"A":"1"/* x */}')],
])
  add(title, 'bad_content', content(json));
add('nothing but spaces', 'bad_content', () => artifact({ plaintext: Buffer.alloc(4096, ' ') }));
add('bytes that are not UTF-8', 'bad_content', () =>
  artifact({
    plaintext: Buffer.from(
      padded(inner('{"A":"\u00ff"}')).toString('latin1').replace('\u00c3\u00bf', '\u00ff\u00ff'),
      'latin1',
    ),
  }),
);

group = 'E17 INV-39';
add(
  'two namespaces that flatten to one name',
  'bad_content',
  content(inner('{"a__b__c":"1","a__b__c":"2"}')),
);

group = 'E16 INV-37';
for (const [field, value] of Object.entries({
  ...header,
  version: 2,
  repository: header.repository.replace(/6$/, '7'),
  identity: 'web',
  environment: 'staging',
  revision: header.revision + 1,
  commit: 'f'.repeat(40),
  packedAt: '2026-01-01T00:00:01Z',
  expiresAt: '2026-02-28T00:00:00Z',
})) {
  add(`another ${field} inside`, 'header_mismatch', () => artifact({ inner: { ...header, [field]: value } }));
  add(`no ${field} inside`, 'header_mismatch', () => artifact({ inner: { ...header, [field]: undefined } }));
}
add('a commit inside only', 'header_mismatch', () => {
  const { commit: _, ...head } = header;
  return artifact({ head, inner: header });
});
add('the revision inside as text', 'header_mismatch', () =>
  artifact({ inner: { ...header, revision: String(header.revision) } }),
);
add(
  'another expiry inside, sealed by a KMS',
  'header_mismatch',
  () => artifact({ seal: awsKey, inner: { ...header, expiresAt: '2026-02-28T00:00:00Z' } }),
  { given: onAws },
);

group = 'E21 INV-42';
const unpadded = innerJson(header, secrets);
const paddedWith = (filler) =>
  Buffer.concat([Buffer.from(unpadded), Buffer.alloc(4096 - unpadded.length, filler)]);
add('no padding', 'bad_content', () => artifact({ plaintext: Buffer.from(unpadded) }));
add('a byte less than a block', 'bad_content', () =>
  artifact({ plaintext: padded(unpadded).subarray(0, 4095) }),
);
add('a byte more than a block', 'bad_content', () =>
  artifact({ plaintext: Buffer.concat([padded(unpadded), Buffer.from(' ')]) }),
);
add('a block too many', 'bad_content', () =>
  artifact({ plaintext: Buffer.concat([padded(unpadded), Buffer.alloc(4096, ' ')]) }),
);
add('padded with NULs', 'bad_content', () => artifact({ plaintext: paddedWith('\0') }));
add('padded with line breaks', 'bad_content', () => artifact({ plaintext: paddedWith('\n') }));
add('padded with tabs', 'bad_content', () => artifact({ plaintext: paddedWith('\t') }));
add('padded before the object', 'bad_content', () =>
  artifact({ plaintext: Buffer.concat([Buffer.alloc(4096 - unpadded.length, ' '), Buffer.from(unpadded)]) }),
);
add('an empty plaintext', 'bad_content', () => artifact({ plaintext: Buffer.alloc(0) }));

group = 'E18 INV-54';
add('a revocation', 'revoked', async () => signed(revoked()));
add('a revocation that has expired', 'revoked', async () =>
  signed(revoked(undefined, { ...header, expiresAt: '2026-01-02T00:00:00Z' })),
);
add('a revocation above the floor', 'revoked', async () => signed(revoked()), {
  given: { floor: { ...floor, revision: header.revision - 1 } },
});
add(
  'an unsigned revocation, where unsigned is allowed',
  'revoked',
  async () => signed(revoked(), []),
  unsigned,
);
add('an unsigned revocation', 'unsigned', async () => signed(revoked(), []));
add('a revocation signed by a stranger', 'signature', async () => signed(revoked(), [stranger]));
add('a good artifact turned into a revocation after signing', 'signature', () =>
  afterSigning(() => Buffer.from(revoked())),
);
add('a revocation turned into another after signing', 'signature', async () => {
  const good = JSON.parse(signed(revoked()).toString());
  return Buffer.from(
    JSON.stringify({
      ...good,
      payload: base64(revoked(undefined, { ...header, revision: header.revision + 9 })),
    }),
  );
});
add('an old revocation played again', 'rollback', async () => signed(revoked()), {
  given: { floor: { ...floor, revision: header.revision + 1 } },
});
add('a revocation of the accepted revision', 'equivocation', async () => signed(revoked()), {
  given: { floor },
});
add('a revocation for another identity', 'binding', async () =>
  signed(revoked(undefined, { ...header, identity: 'web' })),
);
add('a revocation from the far future', 'fast_forward', async () =>
  signed(revoked(undefined, { ...header, revision: Date.parse(given.at) + 2 * 86_400_000 })),
);
add('the artifact before a revocation', 'rollback', () => artifact(), {
  given: { floor: { ...floor, revision: header.revision + 1 } },
});
for (const value of [
  true,
  false,
  0,
  '',
  'soon',
  {},
  [],
  null,
  { reason: 7 },
  { reason: '' },
  { reason: 'x'.repeat(501) },
  { reason: 'x', at: 'soon' },
])
  add(`revoked: ${JSON.stringify(value).slice(0, 30)}`, 'format', async () => signed(revoked(value)));
for (const value of [false, 0, '', 'soon', {}])
  add(`revokedAt: ${JSON.stringify(value)}`, 'format', async () =>
    signed(payloadText(header, { ...(await sealed()), revokedAt: value })),
  );
add('revoked, and a ciphertext', 'format', async () =>
  signed(payloadText(header, { revoked: { reason: 'x' }, ...(await sealed()) })),
);
add('revoked, and a seal', 'format', async () =>
  signed(payloadText(header, { revoked: { reason: 'x' }, seal: { key: awsKey } })),
);

group = 'E20';
add('other white space within the signed bytes, not signed anew', 'signature', () =>
  afterSigning((payload) => Buffer.from(payload.toString().replace('":', '": '))),
);
add('another order within the signed bytes, not signed anew', 'signature', () =>
  afterSigning((payload) => {
    const { version, ...rest } = JSON.parse(payload.toString());
    return Buffer.from(JSON.stringify({ ...rest, version }));
  }),
);

group = 'E22';
add('gzip', 'format', async () => gzipSync(await artifact(), { level: 9 }));
add('base64 around the whole', 'format', async () => Buffer.from(base64(await artifact())));

// What the opener insists on must itself be right.

group = 'D12';
const spki = Buffer.from(signer.text.slice('ed25519:'.length), 'base64');
const p256Spki = Buffer.from(newer.text.slice('p256:'.length), 'base64');
const generated = (type, options) => {
  const { publicKey } = generateKeyPairSync(type, options);
  return publicKey.export({ format: 'der', type: 'spki' });
};
const fixedKeys = {
  // Public keys of kinds that sign no artifacts, made once.
  rsa: () => generated('rsa', { modulusLength: 2048 }),
  p384: () => generated('ec', { namedCurve: 'P-384' }),
  ed448: () => generated('ed448'),
};
export const fixedKeyMakers = fixedKeys;
const config = (title, verify) => add(title, 'config', () => artifact(), { given: { verify } });
const privateDer = signer.privateKey.export({ format: 'der', type: 'pkcs8' });
config('a private key', [`ed25519:${base64(privateDer)}`]);
config('a private key in PEM', [
  signer.privateKey.export({ format: 'pem', type: 'pkcs8' }).replaceAll('\n', ' '),
]);
config('an RSA key', (kept) => [`p256:${kept.rsa}`]);
config('a P-384 key', (kept) => [`p256:${kept.p384}`]);
config('an Ed448 key', (kept) => [`ed25519:${kept.ed448}`]);
config('a P-256 key under the other name', [`ed25519:${base64(p256Spki)}`]);
config('noise', [`ed25519:${base64(sha256('noise'))}`]);
config('the bare 32 bytes', [`ed25519:${base64(spki.subarray(-32))}`]);
config('bytes after the key', [`ed25519:${base64(Buffer.concat([spki, Buffer.of(0)]))}`]);
config('an Ed25519 point of small order', [
  `ed25519:${base64(Buffer.concat([spki.subarray(0, -32), Buffer.of(1), Buffer.alloc(31)]))}`,
]);
config('base64 that is not', ['ed25519:!!!!']);
config(
  'nine keys',
  Array.from({ length: 9 }, (_, index) => ed25519(`of nine, ${index}`).text),
);
config('a key twice', [signer.text, signer.text]);
config('a retired key at the end', [signer.text, `retired:${newer.keyId}`]);
config('a retired key that is trusted again', [`retired:${signer.keyId}`, signer.text]);
config('a KMS key', [awsKey]);
config('an age key', [recipients.x25519]);
config('no key, and no leave to go without', []);
add('an alias as the sealing key', 'config', () => artifact(), {
  given: { seal: awsKey.replace(/key\/.*/, 'alias/clef') },
});
add('a private key as the sealing key', 'config', () => artifact(), { given: { seal: workload } });

export { cases };
