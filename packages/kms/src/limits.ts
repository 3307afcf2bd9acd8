// What a call may take: the least of the clouds' sizes, and the times of catalogue F-31.

/** AWS takes 4,096 bytes in Encrypt, Google 64 KiB. */
export const maxPlaintextBytes = 4096;
/** AWS takes 6,144 bytes in Decrypt. */
export const maxWrappedBytes = 6144;
/** A signature of P-256 in DER has at most 72, its public key 91. */
export const maxSignatureBytes = 72;
export const maxPublicKeyBytes = 1024;
/** Of a whole answer, whose largest field is one of the above in base64. */
export const maxAnswerBytes = 64 * 1024;

/** For one try. */
export const trySeconds = 5;
export const defaultTimeoutSeconds = 15;
export const defaultAttempts = 3;
