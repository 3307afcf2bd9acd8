// The package comes without types; this is the one function of it that is used.
declare module 'bcrypt-pbkdf' {
  const bcrypt: {
    /** Fills `key` and returns 0, or returns -1 for arguments of no length. */
    pbkdf(
      passphrase: Uint8Array,
      passphraseLength: number,
      salt: Uint8Array,
      saltLength: number,
      key: Uint8Array,
      keyLength: number,
      rounds: number,
    ): number;
  };
  export default bcrypt;
}
