// A workload on AWS: the official SDK with its default credential chain. Prints what became of one Encrypt or Decrypt.
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';

const request = JSON.parse(process.argv[2]);
const client = new KMSClient({ maxAttempts: 1 });
try {
  const EncryptionContext = request.context;
  const command =
    request.plaintext !== undefined
      ? new EncryptCommand({
          KeyId: request.key,
          Plaintext: Buffer.from(request.plaintext),
          EncryptionContext,
        })
      : new DecryptCommand({
          ...(request.key === undefined ? {} : { KeyId: request.key }),
          CiphertextBlob: Buffer.from(request.ciphertext, 'base64'),
          EncryptionContext,
        });
  const answer = await client.send(command);
  const text = (bytes) => (bytes === undefined ? undefined : Buffer.from(bytes));
  console.log(
    JSON.stringify({
      plaintext: text(answer.Plaintext)?.toString(),
      ciphertext: text(answer.CiphertextBlob)?.toString('base64'),
      keyId: answer.KeyId,
    }),
  );
} catch (error) {
  console.log(JSON.stringify({ error: error.name, message: error.message }));
}
