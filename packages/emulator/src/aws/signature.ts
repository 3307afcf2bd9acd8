// AWS Signature Version 4, the server's half: recomputes the signature of a request from the secret on file.
// Source: "Create a signed AWS API request", IAM User Guide. Presigned (query) requests are not accepted.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { LoopbackRequest } from '@clef/loopback';
import { excerpt } from '@clef/strict';
import type { AwsCredential } from '../state.ts';
import { AwsRefusal } from './aws-refusal.ts';

export type SignedCaller = { readonly credential: AwsCredential; readonly region: string };

type Authorization = {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
};

/** AWS accepts five minutes either way. */
const maxSkewMs = 5 * 60 * 1000;

const authorizationPattern =
  /^AWS4-HMAC-SHA256 Credential=([A-Za-z0-9]{8,128})\/([0-9]{8})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/aws4_request, ?SignedHeaders=([a-z0-9;_-]{1,2048}), ?Signature=([0-9a-f]{64})$/;

/**
 * Returns who signed a request, and for which region.
 * Throws `AwsRefusal`: no or a garbled signature, an unknown key, a wrong or expired session token, a clock more than
 * five minutes off, an unsigned `x-amz-` header, another secret.
 */
export function verifySignature(
  request: LoopbackRequest,
  service: string,
  credentials: ReadonlyMap<string, AwsCredential>,
  now: number,
): SignedCaller {
  const authorization = parseAuthorization(request.headers.get('authorization'));
  const credential = findCredential(authorization, request, credentials);
  if (now >= credential.expiresAtMs) {
    throw new AwsRefusal('ExpiredTokenException', 'The security token included in the request is expired');
  }
  checkScope(authorization, service);
  const amzDate = checkDate(authorization, request, now);
  checkSignedHeaders(authorization, request);
  checkPayloadHash(request);
  const expected = computeSignature(authorization, request, credential.secretAccessKey, amzDate);
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(authorization.signature))) {
    const advice = 'Check your AWS Secret Access Key and signing method.';
    const found = 'The request signature we calculated does not match the signature you provided.';
    throw new AwsRefusal('InvalidSignatureException', `${found} ${advice}`);
  }
  return { credential, region: authorization.region };
}

function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined || header === '') {
    throw new AwsRefusal('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const match = authorizationPattern.exec(header);
  if (match === null) {
    const wanted = 'AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…';
    throw new AwsRefusal('IncompleteSignatureException', `Authorization header requires '${wanted}'`);
  }
  const [, accessKeyId = '', date = '', region = '', service = '', names = '', signature = ''] = match;
  return { accessKeyId, date, region, service, signedHeaders: names.split(';'), signature };
}

function findCredential(
  authorization: Authorization,
  request: LoopbackRequest,
  credentials: ReadonlyMap<string, AwsCredential>,
): AwsCredential {
  const credential = credentials.get(authorization.accessKeyId);
  if (credential === undefined || credential.sessionToken !== request.headers.get('x-amz-security-token')) {
    throw new AwsRefusal(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  return credential;
}

function checkScope(authorization: Authorization, service: string): void {
  if (authorization.service !== service) {
    const message = `Credential should be scoped to correct service: '${service}'.`;
    throw new AwsRefusal('InvalidSignatureException', message);
  }
}

function checkDate(authorization: Authorization, request: LoopbackRequest, now: number): string {
  const amzDate = request.headers.get('x-amz-date') ?? '';
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z$/.exec(amzDate);
  if (match === null) {
    throw new AwsRefusal(
      'IncompleteSignatureException',
      'Date must be in ISO-8601 basic format, in X-Amz-Date',
    );
  }
  const [, year, month, day, hour, minute, second] = match;
  const signedAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(signedAtMs) || !amzDate.startsWith(authorization.date)) {
    throw new AwsRefusal('InvalidSignatureException', 'Date in Credential scope does not match X-Amz-Date');
  }
  if (Math.abs(now - signedAtMs) > maxSkewMs) {
    const which = signedAtMs < now ? 'Signature expired' : 'Signature not yet current';
    throw new AwsRefusal(
      'InvalidSignatureException',
      `${which}: ${amzDate} is more than 5 min. from the server's time`,
    );
  }
  return amzDate;
}

/** Every header that steers AWS must be under the signature, or somebody between could add or change one. */
function checkSignedHeaders(authorization: Authorization, request: LoopbackRequest): void {
  const { signedHeaders } = authorization;
  const isSorted = signedHeaders.every(
    (name, index) => index === 0 || (signedHeaders[index - 1] ?? '') < name,
  );
  const absent = signedHeaders.find((name) => !request.headers.has(name));
  if (!isSorted || absent !== undefined) {
    throw new AwsRefusal(
      'InvalidSignatureException',
      'SignedHeaders must be a sorted list of headers of the request',
    );
  }
  const needed = ['host', ...[...request.headers.keys()].filter((name) => name.startsWith('x-amz-'))];
  const unsigned = needed.find((name) => !signedHeaders.includes(name));
  if (unsigned !== undefined) {
    const message = `'${excerpt(unsigned)}' must be a 'SignedHeader' in the AWS Authorization.`;
    throw new AwsRefusal('InvalidSignatureException', message);
  }
}

function checkPayloadHash(request: LoopbackRequest): void {
  const claimed = request.headers.get('x-amz-content-sha256');
  if (claimed !== undefined && claimed !== sha256(request.body)) {
    const message = 'The value passed in as x-amz-content-sha256 does not match the SHA-256 of the payload.';
    throw new AwsRefusal('InvalidSignatureException', message);
  }
}

function computeSignature(
  authorization: Authorization,
  request: LoopbackRequest,
  secretAccessKey: string,
  amzDate: string,
): string {
  const { date, region, service, signedHeaders } = authorization;
  const headers = signedHeaders.map((name) => `${name}:${canonicalValue(request.headers.get(name) ?? '')}\n`);
  const canonicalRequest = [
    request.method,
    request.path,
    '',
    headers.join(''),
    signedHeaders.join(';'),
    sha256(request.body),
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const stringToSign = ['AWS4-HMAC-SHA256', amzDate, scope, sha256(canonicalRequest)].join('\n');
  const signingKey = [date, region, service, 'aws4_request'].reduce<Uint8Array>(
    (key, part) => hmac(key, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  return Buffer.from(hmac(signingKey, stringToSign)).toString('hex');
}

function canonicalValue(value: string): string {
  return value.trim().replaceAll(/ +/g, ' ');
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
