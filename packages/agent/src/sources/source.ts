// Where an artifact comes from. A source only carries bytes: what they are worth is judged by `refresh.ts`.

/** What a source said about the bytes it gave, to be shown to it at the next fetch. */
export type Validator = {
  readonly etag?: string;
  readonly lastModified?: string;
  /** Of an object in Cloud Storage. */
  readonly generation?: string;
};

export type Fetched =
  | { readonly kind: 'artifact'; readonly bytes: Uint8Array; readonly validator?: Validator }
  /** The source says that nothing changed since it gave `validator`. */
  | { readonly kind: 'unchanged' };

export type Source = {
  readonly kind: 'file' | 'https' | 's3' | 'gs';
  /**
   * Gets the artifact, at most `maxArtifactBytes` of it, unless it is unchanged since `validator`. Throws
   * {@link SourceError}; gives up when `signal` says so.
   */
  fetch(validator: Validator | undefined, signal: AbortSignal): Promise<Fetched>;
};

/** No artifact is larger, so nothing larger is ever read. */
export const maxArtifactBytes = 1024 * 1024;

export type SourceCode =
  /** There is nothing at the address: not a revocation. */
  | 'not_found'
  /** We may not read it. */
  | 'refused'
  | 'throttled'
  | 'redirect'
  | 'too_large'
  | 'bad_response'
  | 'timeout'
  | 'tls'
  | 'no_credentials'
  /** The environment names an endpoint or a region that cannot be used. */
  | 'settings'
  | 'unavailable';

/** Why a source gave nothing. Holds no path, address or text of the source. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code: SourceCode;
  /** The source asked to be left alone for so long. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: SourceCode, message: string, retryAfterSeconds?: number) {
    super(message);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
