// How AWS says no: the closed table of error names that this emulator uses, and the two shapes they travel in.
import { randomUuid } from '../identifiers.ts';
import type { RandomBytes } from '../software-key.ts';

export type AwsErrorName = keyof typeof statusTable;

/** Names and statuses as the KMS API reference lists them, its common errors included. */
const statusTable = {
  AccessDeniedException: 400,
  AlreadyExistsException: 400,
  DisabledException: 400,
  ExpiredTokenException: 400,
  IncompleteSignatureException: 400,
  IncorrectKeyException: 400,
  InternalFailure: 500,
  InvalidAliasNameException: 400,
  InvalidArnException: 400,
  InvalidCiphertextException: 400,
  InvalidIdentityTokenException: 400,
  InvalidKeyUsageException: 400,
  InvalidMarkerException: 400,
  InvalidSignatureException: 400,
  KMSInvalidSignatureException: 400,
  MalformedPolicyDocumentException: 400,
  MissingAuthenticationTokenException: 400,
  NotFoundException: 400,
  SerializationException: 400,
  UnknownOperationException: 400,
  UnrecognizedClientException: 400,
  UnsupportedOperationException: 400,
  ValidationException: 400,
} as const;

/** Thrown by an operation; becomes the reply. */
export class AwsRefusal extends Error {
  readonly errorName: AwsErrorName;

  constructor(errorName: AwsErrorName, message: string) {
    super(message);
    this.name = 'AwsRefusal';
    this.errorName = errorName;
  }
}

export type AwsReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** `Date` is the emulator's clock: SDKs that find their own clock wrong correct it by this header. */
function commonHeaders(now: number, randomBytes: RandomBytes): Record<string, string> {
  return { Date: new Date(now).toUTCString(), 'x-amzn-RequestId': randomUuid(randomBytes) };
}

/** A reply of the protocol `x-amz-json-1.1`. */
export function jsonReply(status: number, value: unknown, now: number, randomBytes: RandomBytes): AwsReply {
  const headers = { 'Content-Type': 'application/x-amz-json-1.1', ...commonHeaders(now, randomBytes) };
  return { status, headers, body: value === undefined ? '' : JSON.stringify(value) };
}

/** An error of the protocol `x-amz-json-1.1`. */
export function jsonErrorReply(refusal: AwsRefusal, now: number, randomBytes: RandomBytes): AwsReply {
  const { errorName, message } = refusal;
  return jsonReply(statusTable[errorName], { __type: errorName, message }, now, randomBytes);
}

/** The same refusals have other names and statuses in the query protocol of STS. */
const queryNames: Readonly<Partial<Record<AwsErrorName, readonly [status: number, name: string]>>> = {
  AccessDeniedException: [403, 'AccessDenied'],
  ExpiredTokenException: [403, 'ExpiredToken'],
  IncompleteSignatureException: [400, 'IncompleteSignature'],
  InvalidIdentityTokenException: [400, 'InvalidIdentityToken'],
  InvalidSignatureException: [403, 'SignatureDoesNotMatch'],
  MissingAuthenticationTokenException: [403, 'MissingAuthenticationToken'],
  UnrecognizedClientException: [403, 'InvalidClientTokenId'],
  UnknownOperationException: [400, 'InvalidAction'],
};

/** A reply of the query protocol. `xml` is trusted. */
export function xmlReply(status: number, xml: string, now: number, randomBytes: RandomBytes): AwsReply {
  return { status, headers: { 'Content-Type': 'text/xml', ...commonHeaders(now, randomBytes) }, body: xml };
}

/** An error of the query protocol. */
export function xmlErrorReply(refusal: AwsRefusal, now: number, randomBytes: RandomBytes): AwsReply {
  const [status, code] = queryNames[refusal.errorName] ?? [400, refusal.errorName];
  const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>${escapeXml(refusal.message)}</Message></Error>`;
  const xml = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${error}</ErrorResponse>`;
  return xmlReply(status, xml, now, randomBytes);
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
